"""One step of adaptation: who predicts, who learns, and what must stay the same."""

from __future__ import annotations

import copy

import adapt_toys as toys
import pytest
import torch
from torch import nn

from mmkd_ext.errors import CheckpointError, ConfigError

pytestmark = pytest.mark.mmseg
SOURCE = dict(type='mmkd_ext.SourceDistiller')
TENT = dict(type='mmkd_ext.TentDistiller')
PLAIN_TENT = dict(TENT, statistics='source')


@pytest.fixture(scope='module')
def expected():
    """Logits of the source for three images."""
    return toys.stream(toys.model(SOURCE))


def same(ours, theirs):
    return all(torch.equal(a, b) for a, b in zip(ours, theirs))


# ---- classes ----------------------------------------------------------------------


def test_outputs_that_are_finer_than_the_classes_of_the_data_are_added():
    fine, coarse = [1, 0, 1, 0, 2], toys.model(SOURCE)
    merged = type(coarse)(toys.segmentor(), SOURCE, class_map=fine)
    merged.load_state_dict(coarse.state_dict())
    assert (coarse.num_classes, merged.num_classes) == (5, 3)
    data = toys.batch(0, original=(16, 32))
    ours, theirs = (m.test_step(data)[0] for m in (merged, coarse))
    p = theirs.seg_logits.data.softmax(0)
    by_hand = torch.stack([p[1] + p[3], p[0] + p[2], p[4]])
    torch.testing.assert_close(ours.seg_logits.data.exp(), by_hand)
    assert torch.equal(ours.pred_sem_seg.data[0], by_hand.argmax(0))
    # more than renaming the winner
    renamed = torch.tensor(fine)[theirs.pred_sem_seg.data[0]]
    assert not torch.equal(ours.pred_sem_seg.data[0], renamed)


@pytest.mark.parametrize('class_map', [[0, 1], [0, 1, 2, 3, -1]])
def test_each_output_needs_a_class(class_map):
    kind = type(toys.model(SOURCE))
    with pytest.raises(ConfigError, match='each of the 5 outputs'):
        kind(toys.segmentor(), SOURCE, class_map=class_map)


# ---- identities -------------------------------------------------------------------


def test_the_source_is_the_plain_segmentor_round_after_round(expected):
    built = toys.model(SOURCE)
    assert same(toys.stream(built), expected)
    plain = built.architecture
    data = plain.data_preprocessor(toys.batch(1), False)
    logits = plain(**data, mode='predict')[0].seg_logits.data
    assert torch.equal(logits, expected[1])


@pytest.mark.parametrize(
    'distiller',
    [
        PLAIN_TENT,
        dict(PLAIN_TENT, loss='hard', steps=2),
        dict(PLAIN_TENT, order='adapt_then_predict'),
        dict(TENT, statistics='mixed', mixing=0.0),
    ],
)
@pytest.mark.parametrize('kind', [torch.optim.SGD, torch.optim.Adam])
def test_a_learning_rate_of_zero_predicts_like_the_source(distiller, kind, expected):
    built = toys.model(distiller)
    assert same(toys.stream(built, toys.wrapper(built, 0.0, kind)), expected)


@pytest.mark.parametrize('statistics', ['batch', 'mixed', 'ema'])
def test_statistics_without_mixing_are_the_source(statistics, expected):
    built = toys.model(
        dict(type='mmkd_ext.BNStatsDistiller', statistics=statistics, mixing=0.0)
    )
    assert same(toys.stream(built), expected)


def test_restoring_everything_is_the_source(expected):
    built = toys.model(dict(PLAIN_TENT, restore=1.0))
    found = toys.stream(built, toys.wrapper(built, 0.1))
    assert same(found, expected)
    free = toys.model(PLAIN_TENT)
    assert not same(toys.stream(free, toys.wrapper(free, 0.1)), expected)


def test_batch_statistics_are_those_of_the_image_and_forget_it():
    built = toys.model(dict(type='mmkd_ext.BNStatsDistiller'))
    first = toys.stream(built)
    assert same(toys.stream(built), first)
    # as batch normalisation in train mode, without dropout
    plain = toys.model(SOURCE).architecture
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    with torch.no_grad():
        data = plain.data_preprocessor(toys.batch(0), False)
        logits = plain(**data, mode='predict')[0].seg_logits.data
    torch.testing.assert_close(first[0], logits, atol=1e-4, rtol=1e-4)


def test_kept_statistics_are_the_running_mean_of_the_stream():
    mixing = 0.25
    built = toys.model(
        dict(type='mmkd_ext.BNStatsDistiller', statistics='ema', mixing=mixing)
    )
    stem = built.architecture.backbone.bn1
    mean = stem.running_mean.clone()
    toys.stream(built, images=1)
    with torch.no_grad():
        data = built.data_preprocessor(toys.batch(0), False)
        x = built.architecture.backbone.conv1(data['inputs'])
    expected = (1 - mixing) * mean + mixing * x.mean((0, 2, 3))
    torch.testing.assert_close(stem.running_mean, expected)


# ---- TENT -------------------------------------------------------------------------


def test_entropy_falls_and_only_normalisation_is_trained():
    built = toys.model(TENT)
    before = copy.deepcopy(built.student_state_dict())
    optim = toys.wrapper(built, 0.05, torch.optim.Adam)
    losses = [
        built.adapt_step(toys.batch(0), optim, step=i).losses['loss_entropy']
        for i in range(6)
    ]
    assert losses[-1] < losses[0]
    norms = set(built.distiller.trained())
    changed = {
        k
        for k, v in built.student_state_dict().items()
        if not torch.equal(v, before[k])
    }
    assert changed
    assert changed <= norms


@pytest.mark.parametrize('loss', ['entropy', 'hard'])
def test_one_update_of_tent_by_independent_means(loss):
    built = toys.model(dict(PLAIN_TENT, loss=loss))
    twin = copy.deepcopy(built.architecture)
    toys.stream(built, toys.wrapper(built, 0.1), images=1)
    trained = [twin.get_parameter(name) for name in built.distiller.trained()]
    data = twin.data_preprocessor(toys.batch(0), False)
    logits = twin.decode_head(twin.backbone(data['inputs']))
    logits = nn.functional.interpolate(logits, (32, 64), mode='bilinear')
    if loss == 'entropy':
        p = logits.softmax(1)
        value = -(p * p.log()).sum(1).mean()
    else:
        value = nn.functional.cross_entropy(logits, logits.argmax(1))
    gradients = torch.autograd.grad(value, trained, allow_unused=True)
    for name, parameter, gradient in zip(built.distiller.trained(), trained, gradients):
        found = built.architecture.get_parameter(name)
        expected = parameter - 0.1 * gradient
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_prediction_and_loss_share_one_pass():
    built = toys.model(TENT)
    result = built.adapt_step(toys.batch(0), toys.wrapper(built))
    assert (result.counts['forwards'], result.counts['backwards']) == (1, 1)
    sliding = toys.model(TENT, mode='slide', crop_size=(16, 32), stride=(8, 16))
    result = sliding.adapt_step(toys.batch(0), toys.wrapper(sliding))
    assert (result.counts['forwards'], result.counts['backwards']) == (2, 1)


def test_the_prediction_is_the_one_before_the_update():
    built = toys.model(PLAIN_TENT)
    optim = toys.wrapper(built, 0.1)
    with torch.no_grad():
        before = built.test_step(toys.batch(0))[0].seg_logits.data
    result = built.adapt_step(toys.batch(0), optim)
    assert torch.equal(result.data_samples[0].seg_logits.data, before)
    late = toys.model(dict(PLAIN_TENT, order='adapt_then_predict'))
    result = late.adapt_step(toys.batch(0), toys.wrapper(late, 0.1))
    after = late.test_step(toys.batch(0))[0].seg_logits.data
    assert torch.equal(result.data_samples[0].seg_logits.data, after)
    assert not torch.equal(after, before)


# ---- predicting -------------------------------------------------------------------


@pytest.mark.parametrize('test', [{}, dict(mode='slide', crop_size=(16, 32))])
def test_images_of_different_sizes_come_out_at_their_original_size(test):
    if test:
        test = dict(test, stride=(8, 16))
    built = toys.model(TENT, **test)
    optim = toys.wrapper(built)
    for size, original in (((32, 64), (64, 128)), ((24, 40), (24, 40))):
        result = built.adapt_step(toys.batch(0, size, original), optim)
        assert result.data_samples[0].pred_sem_seg.data.shape == (1, *original)
        labels = result.data_samples[0].seg_logits.data.argmax(0, keepdim=True)
        assert torch.equal(labels, result.data_samples[0].pred_sem_seg.data)


def test_a_flipped_image_is_turned_back():
    built = toys.model(SOURCE)
    data = toys.batch(0)
    plain = built.adapt_step(toys.batch(0)).data_samples[0].seg_logits.data
    data['data_samples'][0].set_metainfo(dict(flip=True, flip_direction='horizontal'))
    turned = built.adapt_step(data).data_samples[0].seg_logits.data
    assert torch.equal(turned.flip(-1), plain)
    # the given sample is as it was
    assert 'seg_logits' not in data['data_samples'][0]


def test_a_pooled_map_of_one_pixel_does_not_stop_batch_statistics():
    built = toys.model(TENT, pooled=True)
    assert len(toys.stream(built, toys.wrapper(built))) == 3


# ---- going on and going back ------------------------------------------------------


def test_the_state_of_another_source_is_refused():
    state = toys.model(TENT).adapt_state()
    with pytest.raises(CheckpointError, match='started from the source'):
        toys.model(TENT, seed=1).load_adapt_state(state)


def test_a_copy_stands_on_its_own():
    built = toys.model(TENT)
    twin = copy.deepcopy(built)
    assert twin.distiller.student is twin.architecture
    assert twin.distiller.source is twin.source.module
    before = weight(built)
    twin.start()
    toys.stream(twin, toys.wrapper(twin, 0.1))
    assert torch.equal(weight(built), before)
    assert not torch.equal(weight(twin), before)


def test_the_source_is_in_no_checkpoint_and_the_student_in_one_place():
    names = list(toys.model(TENT).state_dict())
    assert sum(name.endswith('backbone.conv1.weight') for name in names) == 1
    assert not any('source' in name for name in names)


# ---- what goes wrong --------------------------------------------------------------


def test_a_loss_that_is_not_finite_updates_nothing():
    built = toys.model(PLAIN_TENT)
    optim = toys.wrapper(built, 0.1)
    before = copy.deepcopy(built.student_state_dict())
    built.distiller.compute_losses = lambda batch: {
        'loss_entropy': built.distiller.first_logits(batch).mean() * float('nan')
    }
    result = built.adapt_step(toys.batch(0), optim)
    assert result.counts['skipped'] == 1
    assert result.counts['updates'] == 0
    assert 'loss_entropy' in result.events[0]['reason']
    after = built.student_state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())


def test_a_gradient_that_is_not_finite_updates_nothing():
    built = toys.model(PLAIN_TENT)
    optim = toys.wrapper(built, 0.1)
    before = copy.deepcopy(built.student_state_dict())
    # sqrt has no finite gradient at 0, and a value there
    built.distiller.compute_losses = lambda batch: {
        'loss_x': (built.distiller.first_logits(batch) * 0).sum().sqrt()
    }
    result = built.adapt_step(toys.batch(0), optim)
    assert result.events[0]['reason'] == 'a gradient is not finite'
    after = built.student_state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())


@pytest.mark.parametrize(('distiller', 'settings', 'word'), [
    (TENT, dict(norm='GN'), 'batch normalisation'),
    (dict(type='mmkd_ext.TentDistler'), {}, 'TentDistiller'),
    (dict(TENT, los='hard'), {}, '`loss`'),
    (dict(TENT, statistics='bach'), {}, 'batch'),
    (dict(TENT, steps=0), {}, 'steps'),
    (dict(type='mmkd_ext.CWDLoss'), {}, 'AdaptDistiller'),
])  # fmt: skip
def test_wrong_settings_say_what_is_wrong(distiller, settings, word):
    with pytest.raises(ConfigError, match=word):
        toys.model(distiller, **settings)


def test_a_network_without_batch_norm_can_be_adapted_by_what_needs_none():
    built = toys.model(PLAIN_TENT, norm='GN')
    before = toys.stream(built, toys.wrapper(built, 0.1))
    assert not same(toys.stream(built, toys.wrapper(built, 0.1)), before)


def test_a_model_that_is_no_segmentor_is_refused():
    from mmkd_ext.adaptation import ContinualAdaptation
    from mmkd_ext.testing.toy import ToyModel

    with pytest.raises(ConfigError, match='needs a segmentor of mmseg'):
        ContinualAdaptation(ToyModel(), SOURCE)


def test_training_without_an_optimizer_is_an_error():
    with pytest.raises(ConfigError, match=r'set `test_cfg\.optim_wrapper'):
        toys.model(TENT).adapt_step(toys.batch(0))


def test_labels_never_train_it():
    with pytest.raises(ConfigError, match="no mode 'loss'"):
        toys.model(SOURCE)(torch.zeros(1, 3, 8, 8), mode='loss')


# ---- guard ------------------------------------------------------------------------


@pytest.fixture
def guarded():
    """A model with a guard that answers what it is told, and its optimizer."""
    from mmkd_ext.adaptation import AdaptGuard, Decision

    class Told(AdaptGuard):
        needs_source = True

        def __init__(self):
            super().__init__()
            self.answers, self.seen = [], []

        def decide(self, batch, scores, source_scores):
            self.seen.append((batch.step, scores.shape, source_scores.shape))
            return Decision(**(self.answers.pop(0) if self.answers else {}))

        def reset(self):
            pass

    built = toys.model(PLAIN_TENT, guard=Told())
    return built, toys.wrapper(built, 0.1, torch.optim.Adam)


def weight(built):
    return built.architecture.backbone.bn1.weight.detach().clone()


def test_a_guard_that_says_skip_leaves_the_weights(guarded):
    built, optim = guarded
    built.guard.answers = [dict(action='skip', reason='dark', signals={'entropy': 1.0})]
    before = weight(built)
    result = built.adapt_step(toys.batch(0), optim)
    assert torch.equal(weight(built), before)
    assert result.events == [
        {'action': 'skip', 'reason': 'dark', 'signals': {'entropy': 1.0}}
    ]
    assert result.signals == {'entropy': 1.0}
    assert result.counts['skipped'] == 1
    # the source was asked: one pass more
    assert result.counts['forwards'] == 2


def test_what_is_drawn_after_a_reset_is_not_what_was_drawn_before():
    distiller = dict(
        type='mmkd_ext.CoTTADistiller', views=[1.0, dict(noise=0.5)], restore=0.2
    )
    built = toys.model(distiller, guard=dict(type='mmkd_ext.CollapseGuard'))
    optim = toys.wrapper(built)
    toys.stream(built, optim, images=2)
    generators = {
        name: module
        for name, module in built.distiller.named_modules()
        if type(module).__name__ == 'SeededGenerator'
    }
    assert len(generators) == 2  # views and restore
    before = {name: g.on('cpu').get_state() for name, g in generators.items()}
    built._reset_weights(optim)
    for name, generator in generators.items():
        assert torch.equal(generator.on('cpu').get_state(), before[name]), name


def test_a_guard_resets_to_the_source_and_forgets_the_moments(guarded, expected):
    built, optim = guarded
    before = weight(built)
    built.guard.answers = [{}, dict(action='reset', reason='collapse')]
    toys.stream(built, optim, images=2)
    assert torch.equal(weight(built), before)
    assert not optim.optimizer.state
    assert built.guard.seen[1][0] == 1


# ---- wrappers ---------------------------------------------------------------------


def test_accumulation_updates_every_second_image():
    built = toys.model(PLAIN_TENT)
    optim = toys.wrapper(built, 0.1, accumulative_counts=2)
    before = weight(built)
    built.adapt_step(toys.batch(0), optim)
    assert torch.equal(weight(built), before)
    built.adapt_step(toys.batch(1), optim)
    assert not torch.equal(weight(built), before)


def test_gradients_are_clipped():
    built = toys.model(PLAIN_TENT)
    optim = toys.wrapper(built, 1.0, clip_grad=dict(max_norm=1e-3))
    before = {k: v.detach().clone() for k, v in built.distiller.trained().items()}
    built.adapt_step(toys.batch(0), optim)
    moved = torch.cat([
        (v.detach() - before[k]).flatten() for k, v in built.distiller.trained().items()
    ])  # fmt: skip
    assert 0 < moved.norm().item() <= 1.001e-3


def test_mixed_precision_adapts():
    from mmkd_ext.engine import Bf16OptimWrapper

    built = toys.model(TENT)
    trained = list(built.distiller.trained().values())
    optim = Bf16OptimWrapper(optimizer=torch.optim.SGD(trained, lr=0.1))
    before = weight(built)
    result = built.adapt_step(toys.batch(0), optim)
    assert result.data_samples[0].seg_logits.data.dtype == torch.float32
    assert not torch.equal(weight(built), before)
