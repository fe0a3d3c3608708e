"""Laws that every registered method of adaptation obeys."""

from __future__ import annotations

import copy
import io

import adapt_toys as toys
import pytest
import torch

import mmkd_ext.adaptation  # noqa: F401
from mmkd_ext.adaptation import AdaptDistiller, AdaptGuard, Decision
from mmkd_ext.adaptation.algorithm import reset_optimizer
from mmkd_ext.registry import MODELS

pytestmark = pytest.mark.mmseg
SIZE = (16, 32)
METHODS = sorted(
    name
    for name, kind in MODELS.module_dict.items()
    if isinstance(kind, type) and issubclass(kind, AdaptDistiller)
)
#: Settings with which a method has something to do on three tiny images.
BUSY = {
    'CoTTADistiller': dict(views=[1.0, 'flip', 0.5], min_view_side=1, restore=0.2),
    'DIGADistiller': dict(threshold=0.2),
    'DoSeDistiller': dict(
        prototypes=dict(domains='detected', threshold=1e-4),
        replay=dict(every=2, images=1, score_interval=1),
    ),
    'EATADistiller': dict(share=1.0, margin=0.0001, fisher_images=4),
    'RoTTADistiller': dict(interval=2, capacity=3),
    'SARDistiller': dict(share=1.0, recovery=None),
    'TentDistiller': dict(statistics='ema', restore=0.2, trainable='all'),
}
#: Settings with which a learning rate of 0 is the source.
STILL = {
    'BNStatsDistiller': dict(statistics='source'),
    'CoTTADistiller': dict(views=None),
    'DIGADistiller': dict(mixing=0.0, fusion=0.0),
    'EATADistiller': dict(statistics='source'),
    'EMATeacherDistiller': {},
    'RoTTADistiller': dict(alpha=0.0, interval=1),
    'SARDistiller': dict(statistics='source'),
    'SourceDistiller': {},
    'TentDistiller': dict(statistics='source'),
}


class Onlooker(AdaptGuard):
    """A guard that looks at everything and never acts."""

    needs_source = True

    def decide(self, batch, scores, source_scores):
        return Decision()

    def reset(self):
        pass


def build(name, settings=None, lr=0.05, guard=None, **network):
    settings = BUSY.get(name, {}) if settings is None else settings
    distiller = dict(type=f'mmkd_ext.{name}', **settings)
    built = toys.model(distiller, guard=guard, **network)
    optim = (
        toys.wrapper(built, lr, torch.optim.Adam) if built.distiller.trains else None
    )
    return built, optim


def stream(built, optim, images=3):
    return toys.stream(built, optim, images=images, size=SIZE)


def same(ours, theirs):
    return all(torch.equal(a, b) for a, b in zip(ours, theirs))


def alike(ours, theirs):
    """Whether two nested states hold the same bits."""
    if isinstance(ours, torch.Tensor):
        return ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and alike(
            [*ours.values()], [*theirs.values()]
        )
    if isinstance(ours, (list, tuple)):
        return len(ours) == len(theirs) and all(map(alike, ours, theirs))
    return ours == theirs


@pytest.mark.parametrize('name', METHODS)
def test_a_prediction_has_no_side_effect(name):
    built, optim = build(name)
    stream(built, optim)
    before = copy.deepcopy(built.adapt_state())
    first = built.test_step(toys.batch(7, SIZE))[0].seg_logits.data
    assert alike(built.adapt_state(), before)
    assert torch.equal(built.test_step(toys.batch(7, SIZE))[0].seg_logits.data, first)


@pytest.mark.parametrize('order', ['predict_then_adapt', 'adapt_then_predict'])
@pytest.mark.parametrize('name', METHODS)
def test_a_guard_that_never_acts_changes_nothing(name, order):
    found = []
    for guard in (None, Onlooker()):
        built, optim = build(name, {**BUSY.get(name, {}), 'order': order}, guard=guard)
        found.append([*stream(built, optim), *built.student_state_dict().values()])
    assert same(*found)


@pytest.mark.parametrize(
    'name', [name for name in METHODS if not MODELS.get(name).trains]
)
def test_what_trains_nothing_needs_no_optimizer(name):
    built, optim = build(name)
    assert optim is None
    assert len(stream(built, None)) == 3


@pytest.mark.parametrize('order', ['predict_then_adapt', 'adapt_then_predict'])
@pytest.mark.parametrize('name', [n for n in METHODS if MODELS.get(n).trains])
def test_all_passes_have_the_precision_of_the_optimizer(name, order):
    from mmkd_ext.engine import Bf16OptimWrapper

    # unscaled gradients of its own are measured in full precision
    own = {'EATADistiller': dict(fisher_images=0), 'DoSeDistiller': dict(replay=None)}
    settings = {**BUSY.get(name, {}), **own.get(name, {}), 'order': order}
    built, _ = build(name, settings, guard=Onlooker())
    trained = list(built.distiller.trained().values())
    optim = Bf16OptimWrapper(optimizer=torch.optim.SGD(trained, lr=0.1))
    passes = {}

    def record(module, inputs, output):
        mixed = torch.is_autocast_enabled('cpu')
        passes.setdefault(models[module], []).append(mixed)

    teacher = getattr(built.distiller, 'teacher', None)
    asked = {
        'student': built.architecture,
        'source': built.source.module,
        'guard': built.source.with_student_norms(built.architecture),
        **({'teacher': teacher.module} if teacher else {}),
    }
    models = {model.backbone.conv1: who for who, model in asked.items()}
    for convolution in models:
        convolution.register_forward_hook(record)
    stream(built, optim)
    assert {'student', 'guard', *(['teacher'] if teacher else [])} <= set(passes)
    assert all(all(mixed) for mixed in passes.values())
    # a test is no step: it has no optimizer, and full precision
    passes.clear()
    built.test_step(toys.batch(0, SIZE))
    assert not any(any(mixed) for mixed in passes.values())


@pytest.mark.parametrize('name', METHODS)
def test_dropout_is_never_on(name, monkeypatch):
    seen = []
    forward = torch.nn.Dropout2d.forward

    def watched(module, x):
        seen.append(module.training)
        return forward(module, x)

    monkeypatch.setattr(torch.nn.Dropout2d, 'forward', watched)
    built, optim = build(name, dropout=0.9)
    built.train()
    stream(built, optim, images=2)
    assert seen
    assert not any(seen)


@pytest.mark.parametrize('name', METHODS)
def test_the_student_is_a_plain_segmentor_in_the_end(name):
    from mmseg.registry import MODELS as SEGMENTORS

    built, optim = build(name)
    stream(built, optim, images=2)
    plain = SEGMENTORS.build(toys.segmentor())
    plain.load_state_dict(built.student_state_dict(), strict=True)


@pytest.mark.parametrize('name', METHODS)
def test_ground_truth_is_not_looked_at(name):
    found = []
    for poison in (None, 0, 3):
        built, optim = build(name)
        predictions = []
        for i in range(2):
            data = toys.batch(i, SIZE, truth=False)
            if poison is not None:
                data['data_samples'] = toys.batch(i, SIZE)['data_samples']
                data['data_samples'][0].gt_sem_seg.data.fill_(poison)
            result = built.adapt_step(data, optim, domain='fog', step=i)
            predictions.append(result.data_samples[0].seg_logits.data)
        found.append(predictions)
    assert same(found[0], found[1])
    assert same(found[0], found[2])


@pytest.mark.parametrize('name', METHODS)
def test_saved_and_loaded_it_goes_on_bit_for_bit(name):
    built, optim = build(name)
    stream(built, optim)
    file = io.BytesIO()
    saved = {'model': built.adapt_state(), 'optim': optim and optim.state_dict()}
    torch.save(saved, file)
    expected = stream(built, optim)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed, again = build(name)
    resumed.load_adapt_state(saved['model'])
    if again is not None:
        again.load_state_dict(saved['optim'])
    assert same(stream(resumed, again), expected)
    assert alike(resumed.adapt_state(), built.adapt_state())


@pytest.mark.parametrize('name', METHODS)
def test_a_reset_forgets_everything(name):
    built, optim = build(name)
    first = stream(built, optim)
    built.reset()
    reset_optimizer(optim)
    built.distiller.reseed(0)
    assert same(stream(built, optim), first)


@pytest.mark.parametrize('order', ['predict_then_adapt', 'adapt_then_predict'])
@pytest.mark.parametrize('name', sorted(STILL))
def test_a_learning_rate_of_zero_predicts_like_the_source(name, order):
    source, _ = build('SourceDistiller')
    expected = [scores.argmax(0) for scores in stream(source, None)]
    built, optim = build(name, dict(STILL[name], order=order), lr=0.0)
    found = [scores.argmax(0) for scores in stream(built, optim)]
    assert same(found, expected)


@pytest.mark.parametrize('name', METHODS)
def test_its_settings_can_be_written_as_json(name):
    import json

    built, _ = build(name)
    said = json.loads(json.dumps(built.distiller.describe()))
    assert said['protocol'] == 'predict_then_adapt'


def test_a_copy_of_a_model_in_the_stream_goes_its_own_way():
    built, optim = build('DIGADistiller')
    stream(built, optim)
    twin = copy.deepcopy(built)
    before = built.distiller.prototypes.clone()
    stream(twin, None, images=2)
    assert torch.equal(built.distiller.prototypes, before)
    assert not torch.equal(twin.distiller.prototypes, before)
