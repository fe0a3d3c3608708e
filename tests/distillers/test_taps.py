"""Recording inside a model, and leaving it as it was."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from distill_toys import calls_of

from mmkd_ext.distillers.links import Source, Tap
from mmkd_ext.distillers.taps import Recorder, listed_taps, select
from mmkd_ext.errors import TapError
from mmkd_ext.testing.toy import ToyModel, toy_batch


def tap(at, *, kind='ModuleOutputs', **more):
    return Tap('student', Source(kind, at), **more)


def recorded(model, *taps, mode='tensor', stop=False):
    recorder = Recorder('student', taps)
    with recorder.recording(model, stop=stop):
        model(toy_batch()['inputs'], mode=mode)
    return recorder


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ToyModel().eval()


def test_records_what_the_module_returned(model):
    one = tap('head.conv_seg')
    assert torch.equal(recorded(model, one).value(one), model(toy_batch()['inputs']))


def test_records_a_module_whose_forward_is_called_directly(model):
    calls, one = calls_of(model.head), tap('head')
    recorder = recorded(model, one)
    assert not calls, 'the toy no longer shows what this test is about'
    assert recorder.value(one).shape[1] == model.classes


def test_records_inputs(model):
    one, other = tap('head.conv_seg', kind='ModuleInputs', item=0), tap('head.dropout')
    recorder = recorded(model, one, other)
    assert torch.equal(recorder.value(one), recorder.value(other))


def test_calls_and_items_make_pyramids(model):
    every, some = tap('head_shared', call='all'), tap('head_shared', call=(0, 2))
    levels = tap('neck', item=(0, 2))
    recorder = recorded(model, every, some, levels)
    assert [x.shape[-1] for x in recorder.value(every)] == [8, 4, 2]
    assert [x.shape[-1] for x in recorder.value(some)] == [8, 2]
    assert [x.shape[-1] for x in recorder.value(levels)] == [8, 2]


def test_leaves_no_trace_on_the_model(model):
    before = {name: dict(vars(m)) for name, m in model.named_modules()}
    recorded(model, tap('neck'), tap('head'))
    recorder = Recorder('student', [tap('backbone')])
    with pytest.raises(RuntimeError), recorder.recording(model):
        model(torch.zeros(2, 5, 16, 16))
    assert {name: dict(vars(m)) for name, m in model.named_modules()} == before


def test_keeps_a_forward_that_somebody_else_put_there(model):
    def mine(x):
        return type(model.neck).forward(model.neck, x)

    model.neck.forward = mine
    recorded(model, tap('neck'))
    assert model.neck.forward is mine


def test_a_copy_of_a_tapped_model_records_for_itself(model):
    one = tap('head.conv_seg')
    recorded(model, one)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.head.conv_seg.bias += 1
    value = recorded(twin, one).value(one)
    assert torch.allclose(value, recorded(model, one).value(one) + 1, atol=1e-6)


@pytest.mark.parametrize(
    ('at', 'call', 'stops'),
    [('neck', 0, True), ('head_shared', 2, True), ('head_shared', 'all', False)],
)
def test_stops_once_every_tap_was_called_often_enough(model, at, call, stops):
    one = tap(at, call=call)
    calls = calls_of(model.head.conv)
    recorder = recorded(model, one, stop=True)
    assert recorder.can_stop is stops
    assert bool(calls) is not stops
    assert recorder.value(one) is not None


def test_gives_a_module_itself_which_keeps_no_pass_running(model):
    itself, output = tap('head', kind='Module'), tap('neck')
    calls = calls_of(model.head.conv)
    recorder = recorded(model, itself, output, stop=True)
    assert not calls
    assert recorder.value(itself) is model.head
    assert len(recorder.value(output)) == 3
    with (alone := Recorder('student', [itself])).recording(model):
        pass
    assert alone.value(itself) is model.head
    assert not alone.silent()
    assert not alone.changed()
    alone.clear()
    with pytest.raises(KeyError):
        alone.value(itself)


def test_drops_what_it_recorded(model):
    one = tap('head.conv_seg')
    recorder = recorded(model, one)
    alive = weakref.ref(recorder.value(one))
    assert alive() is not None
    recorder.clear()
    gc.collect()
    assert alive() is None


def test_crops_whole_maps_and_leaves_other_values(model):
    values = {
        'kept': [torch.zeros(2, 5), torch.zeros(7, 3, 4, 4), torch.zeros(2, 3, 7, 7)],
        'cropped': [torch.zeros(2, 3, 16, 16)],
    }
    model.head.forward = lambda x: values
    kept, cropped = tap('head', item='kept'), tap('head', item='cropped.0')
    recorder = recorded(model, kept, cropped)
    recorder.crop((32, 32), (20, 30), 2)
    sizes = [one.shape for one in values['kept']]
    assert [one.shape for one in recorder.value(kept)] == sizes
    assert recorder.value(cropped).shape == (2, 3, 10, 15)


@pytest.mark.parametrize(
    ('one', 'words'),
    [
        (tap('aux_head'), r'aux_head.*not called in this forward pass'),
        (tap('head_shared', call=5), r'called 3 time\(s\), but `call=5`'),
        (tap('backbone.stages.0.norm'), 'changed in place'),
    ],
)
def test_a_tap_without_a_value_says_why(model, one, words):
    recorder = recorded(model, one)
    assert recorder.changed() == ([one] if 'place' in words else [])
    with pytest.raises(TapError, match=words):
        recorder.value(one)
    if one.source.name == 'aux_head':
        value = recorded(model, one, mode='loss').value(one)
        assert value.shape[1] == model.classes


@pytest.mark.parametrize(
    ('one', 'what', 'hint'),
    [
        (tap('neck.convs.7'), '`ToyModel` of `big` has no module', '`neck.convs.'),
        (tap('nekc', kind='Module'), 'no module `nekc`', '`neck`'),
        (tap('zzz'), 'no module `zzz`', 'backbone, neck'),
        (tap('neck.convs'), 'container (ModuleList)', 'neck.convs.0'),
    ],
)
def test_resolve_names_what_is_not_there(model, one, what, hint):
    ((_, found, shown),) = Recorder('big', [one]).resolve(model)
    assert what in found
    assert hint in shown
    assert not Recorder('big', [tap('neck.convs', kind='Module')]).resolve(model)


@pytest.mark.parametrize(
    ('value', 'item', 'expected'),
    [
        ((1, 2), None, (1, 2)),
        ((1, 2), 1, 2),
        ((1, 2), -1, 2),
        ((1, {'a': [2, 3]}), '1.a.1', 3),
        ([1, 2, 3], (2, 0), (3, 1)),
        ((1, 2), 2, None),
        ({'a': 1}, 'b', None),
        (3, 0, None),
    ],
)
def test_select(value, item, expected):
    if expected is not None:
        assert select(value, item, 'x') == expected
        return
    with pytest.raises(TapError, match='`x` has no item'):
        select(value, item, '`x`')


def test_lists_what_could_be_tapped(model):
    rows = listed_taps(model, lambda m: m(toy_batch()['inputs']))
    by_name = {name: row for name, *row in rows}
    assert by_name['head_shared'] == ['Conv2d', 'Tensor(2, 8, 8, 8)', 3]
    assert 'head' in by_name
    assert not {'aux_head', 'neck.convs'} & {*by_name}
