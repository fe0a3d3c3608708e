"""Recording inside a model, and leaving it as it was."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch

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
    recorder = recorded(model, one)
    assert torch.equal(recorder.value(one), model(toy_batch()['inputs']))


def test_hears_a_module_whose_forward_is_called_directly(model):
    fired = []
    handle = model.head.register_forward_hook(lambda *_: fired.append(1))
    one = tap('head')
    recorder = recorded(model, one)
    handle.remove()
    assert not fired, 'the toy no longer shows what this test is about'
    assert recorder.value(one).shape[1] == model.classes


def test_records_inputs(model):
    one, other = tap('head.conv_seg', kind='ModuleInputs', item=0), tap('head.dropout')
    recorder = recorded(model, one, other)
    assert torch.equal(recorder.value(one), recorder.value(other))


def test_calls_and_items_make_pyramids(model):
    every, some = tap('head_shared', call='all'), tap('head_shared', call=(0, 2))
    levels = tap('neck', item=(0, 2))
    recorder = recorded(model, every, some, levels)
    assert len(recorder.value(every)) == 3
    assert [x.shape for x in recorder.value(some)] == [
        recorder.value(every)[i].shape for i in (0, 2)
    ]
    assert [x.shape[-1] for x in recorder.value(levels)] == [8, 2]


def test_leaves_no_trace_on_the_model(model):
    before = {name: dict(vars(m)) for name, m in model.named_modules()}
    recorded(model, tap('neck'), tap('head'))
    assert {name: dict(vars(m)) for name, m in model.named_modules()} == before


def test_leaves_no_trace_when_the_model_raises(model):
    recorder = Recorder('student', [tap('backbone')])
    with pytest.raises(RuntimeError), recorder.recording(model):
        model(torch.zeros(2, 5, 16, 16))
    assert 'forward' not in vars(model.backbone)


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


def test_stops_after_the_last_tap(model):
    called = []
    model.head.conv.register_forward_hook(lambda *_: called.append(1))
    one = tap('neck')
    recorder = recorded(model, one, stop=True)
    assert not called
    assert len(recorder.value(one)) == 3


def test_does_not_stop_when_all_calls_are_wanted(model):
    called = []
    model.head.conv.register_forward_hook(lambda *_: called.append(1))
    recorder = recorded(model, tap('head_shared', call='all'), stop=True)
    assert not recorder.can_stop
    assert called


def test_stops_only_when_a_shared_module_was_called_often_enough(model):
    one = tap('head_shared', call=2)
    assert recorded(model, one, stop=True).value(one).shape[-1] == 2


def test_gives_a_module_itself_without_a_pass(model):
    one = tap('neck', kind='Module')
    recorder = Recorder('student', [one])
    with recorder.recording(model):
        pass
    assert recorder.value(one) is model.neck
    assert not recorder.silent()
    assert not recorder.changed()


def test_a_container_may_be_tapped_itself(model):
    one = tap('neck.convs', kind='Module')
    assert not Recorder('student', [one]).resolve(model)


def test_a_module_itself_does_not_keep_the_model_running(model):
    called = []
    model.head.conv.register_forward_hook(lambda *_: called.append(1))
    itself, output = tap('head', kind='Module'), tap('neck')
    recorder = recorded(model, itself, output, stop=True)
    assert not called
    assert recorder.value(itself) is model.head
    assert len(recorder.value(output)) == 3


def test_a_module_itself_is_let_go(model):
    one = tap('neck', kind='Module')
    recorder = recorded(model, one)
    recorder.clear()
    assert not recorder._modules


def test_resolve_names_a_module_that_is_not_there(model):
    ((_, found, hint),) = Recorder('big', [tap('nekc', kind='Module')]).resolve(model)
    assert 'no module `nekc`' in found
    assert '`neck`' in hint


def test_releases_what_it_recorded(model):
    one = tap('head.conv_seg')
    recorder = recorded(model, one)
    alive = weakref.ref(recorder.value(one))
    assert alive() is not None
    recorder.clear()
    gc.collect()
    assert alive() is None


def test_says_that_a_branch_is_unused_in_this_mode(model):
    one = tap('aux_head')
    with pytest.raises(TapError, match=r'aux_head.*not called in this forward pass'):
        recorded(model, one).value(one)
    assert recorded(model, one, mode='loss').value(one).shape[1] == model.classes


def test_says_how_often_a_module_was_called(model):
    one = tap('head_shared', call=5)
    with pytest.raises(TapError, match=r'called 3 time\(s\), but `call=5`'):
        recorded(model, one).value(one)


def test_notices_a_value_that_was_overwritten(model):
    one = tap('backbone.stages.0.norm')
    recorder = recorded(model, one)
    assert recorder.changed() == [one]
    with pytest.raises(TapError, match='changed in place'):
        recorder.value(one)


def test_resolve_names_the_model_and_near_modules(model):
    ((_, found, hint),) = Recorder('big', [tap('neck.convs.7')]).resolve(model)
    assert '`ToyModel` of `big` has no module `neck.convs.7`' in found
    assert '`neck.convs.' in hint


def test_resolve_shows_the_top_where_nothing_is_near(model):
    ((_, _, hint),) = Recorder('big', [tap('zzz')]).resolve(model)
    assert 'backbone, neck' in hint


def test_resolve_refuses_a_container(model):
    ((_, found, hint),) = Recorder('student', [tap('neck.convs')]).resolve(model)
    assert 'container (ModuleList)' in found
    assert 'neck.convs.0' in hint


@pytest.mark.parametrize(
    ('value', 'item', 'expected'),
    [
        ((1, 2), None, (1, 2)),
        ((1, 2), 1, 2),
        ((1, 2), -1, 2),
        ((1, {'a': [2, 3]}), '1.a.1', 3),
        ([1, 2, 3], (2, 0), (3, 1)),
    ],
)
def test_select(value, item, expected):
    assert select(value, item, 'x') == expected


@pytest.mark.parametrize(('value', 'item'), [((1, 2), 2), ({'a': 1}, 'b'), (3, 0)])
def test_select_describes_what_there_is(value, item):
    with pytest.raises(TapError, match='`x` has no item'):
        select(value, item, '`x`')


def test_lists_what_could_be_tapped(model):
    rows = listed_taps(model, lambda m: m(toy_batch()['inputs']))
    by_name = {name: row for name, *row in rows}
    assert by_name['head_shared'] == ['Conv2d', 'Tensor(2, 8, 8, 8)', 3]
    assert 'head' in by_name
    assert 'aux_head' not in by_name
    assert 'neck.convs' not in by_name
