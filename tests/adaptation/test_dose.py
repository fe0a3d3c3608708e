"""DoSe: each part alone, and all of them on a stream."""

from __future__ import annotations

import copy
import json
import warnings

import adapt_toys as toys
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmkd_ext.errors import ConfigError

pytestmark = pytest.mark.mmseg
#: The paper's teacher and the source's statistics, for which the oracles are written.
DOSE = dict(
    type='mmkd_ext.DoSeDistiller',
    mixing=0.0,
    decay=0.0,
    views=[dict(scale=1.0), 'flip', dict(brightness=0.2, contrast=0.2)],
)
#: Nothing but the cross entropy with the teacher's labels.
BARE = dict(
    DOSE, lambda_layer=0.0, lambda_domain=0.0, replay=None, restore=0.0, views=None
)
FLIPPED = [dict(scale=1.0), 'flip']


def same(ours, theirs):
    return all(torch.equal(a, b) for a, b in zip(ours, theirs))


def weights(module):
    return {k: v.detach().clone() for k, v in module.named_parameters()}


def run(built, optim, images, domain='fog', start=0):
    """Results of a stream of images by their seeds."""
    return [
        built.adapt_step(
            toys.batch(i, truth=False), optim, domain=domain, step=start + i
        )
        for i in range(start, start + images)
    ]


def logits_of(model, x):
    """Logits at the size of the image, without the code under test."""
    logits = model.decode_head(model.backbone(x))
    return F.interpolate(logits, x.shape[2:], mode='bilinear', align_corners=False)


def image(built, seed=0):
    return built.data_preprocessor(toys.batch(seed, truth=False), False)['inputs']


def inputs_of_norms(model, x):
    """What each batch norm is given, by name."""
    found, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            handles.append(
                module.register_forward_pre_hook(
                    lambda _, args, name=name: found.update({name: args[0].detach()})
                )
            )
    with torch.no_grad():
        logits_of(model, x)
    for handle in handles:
        handle.remove()
    return found


def gap(source, ours, theirs):
    """The mean over layers of what the docstring of `RelativeDistance` says."""
    each = []
    for name, x in ours.items():
        norm = source.get_submodule(name)
        v = norm.running_var + norm.eps
        v = v.clamp_min(0.01 * v.mean())
        mean = (x.mean((0, 2, 3)) - theirs[name].mean((0, 2, 3))).square() / v
        var = x.var((0, 2, 3), unbiased=False)
        var = (var - theirs[name].var((0, 2, 3), unbiased=False)) / v
        each.append((mean + var.square()).mean())
    return torch.stack(each).mean().item()


# ---- identities -------------------------------------------------------------------


def test_a_learning_rate_of_zero_predicts_like_the_source():
    built = toys.model(dict(DOSE, views=None, replay=dict(every=2, score_interval=1)))
    optim = toys.wrapper(built, 0.0, torch.optim.Adam)
    found = toys.stream(built, optim)
    expected = toys.stream(toys.model(dict(type='mmkd_ext.SourceDistiller')))
    for ours, theirs in zip(found, expected):
        torch.testing.assert_close(ours, theirs.log_softmax(0), atol=1e-5, rtol=1e-5)
    # and as nothing moved, nothing is hard
    assert not built.distiller.replay.items


def test_mixing_normalises_with_a_share_of_the_image():
    built = toys.model(dict(DOSE, mixing=0.5, views=None, replay=None))
    found = toys.stream(built, toys.wrapper(built, 0.0))
    statistics = dict(type='mmkd_ext.BNStatsDistiller', mixing=0.5)
    for ours, theirs in zip(found, toys.stream(toys.model(statistics))):
        torch.testing.assert_close(ours, theirs.log_softmax(0), atol=1e-5, rtol=1e-5)


def test_restoring_everything_starts_each_image_at_the_source():
    built = toys.model(dict(DOSE, restore=1.0))
    run(built, toys.wrapper(built, 0.1), 2)
    source = weights(built.source.module)
    assert all(torch.equal(v, source[k]) for k, v in weights(built.student).items())


def test_the_teacher_is_the_student_of_the_iteration_before_unrestored():
    restored = toys.model(dict(DOSE, restore=1.0))
    plain = toys.model(dict(DOSE, restore=0.0))
    for built in (restored, plain):
        run(built, toys.wrapper(built, 0.1), 1)
    expected = weights(plain.student)
    found = weights(restored.distiller.teacher.module)
    assert all(torch.equal(v, expected[k]) for k, v in found.items())
    assert any(
        not torch.equal(v, expected[k]) for k, v in weights(restored.student).items()
    )


def test_with_everything_of_cotta_and_nothing_of_its_own_it_is_cotta():
    views = [dict(scale=1.0), 'flip', 0.5, dict(scale=1.5, flip=True)]
    common = dict(views=views, restore=0.01, trainable='all', decay=0.999)
    common['min_view_side'] = 1
    ours = toys.model(dict(BARE, **common, anchor=0.3, labels='hard', buffers='keep'))
    theirs = toys.model(dict(type='mmkd_ext.CoTTADistiller', threshold=0.3, **common))
    found = toys.stream(ours, toys.wrapper(ours, 1e-2, torch.optim.Adam), 4)
    expected = toys.stream(theirs, toys.wrapper(theirs, 1e-2, torch.optim.Adam), 4)
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
    expected = weights(theirs.student)
    for name, value in weights(ours.student).items():
        torch.testing.assert_close(value, expected[name], atol=1e-3, rtol=1e-3)
    start = weights(ours.source.module)
    moved = [not torch.allclose(v, start[k], atol=5e-3) for k, v in expected.items()]
    assert any(moved)


# ---- the label and the cross entropy ----------------------------------------------


def test_the_prediction_is_the_mean_over_the_views_brought_back():
    built = toys.model(dict(DOSE, views=FLIPPED))
    twin = copy.deepcopy(built.architecture)
    result = run(built, toys.wrapper(built, 0.1), 1)[0]
    x = image(built)
    with torch.no_grad():
        mean = logits_of(twin, x).softmax(1)
        mean = (mean + logits_of(twin, x.flip(-1)).softmax(1).flip(-1)) / 2
    found = result.data_samples[0].seg_logits.data
    torch.testing.assert_close(found.exp(), mean[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('labels', ['hard', 'soft'])
@pytest.mark.parametrize('student_batch', ['image', 'views'])
def test_the_cross_entropy_and_its_step_by_independent_means(labels, student_batch):
    settings = dict(labels=labels, student_batch=student_batch, views=FLIPPED)
    built = toys.model(dict(BARE, **settings))
    twin = copy.deepcopy(built.architecture)
    # the gradient of soft labels of the model itself is small
    lr = 10 if labels == 'hard' else 1e3
    losses = run(built, toys.wrapper(built, lr), 1)[0].losses
    x = image(built)
    plain, turned = logits_of(twin, x), logits_of(twin, x.flip(-1)).flip(-1)
    label = ((plain.softmax(1) + turned.softmax(1)) / 2).detach()
    if labels == 'hard':
        label = F.one_hot(label.argmax(1), toys.CLASSES).permute(0, 3, 1, 2)

    def cross_entropy(z):
        return -(label * z.log_softmax(1)).sum(1).mean()

    value = cross_entropy(plain)
    if student_batch == 'views':
        value = (value + cross_entropy(turned)) / 2
    assert losses == {'loss_ce': pytest.approx(value.item(), rel=1e-4)}
    name = 'backbone.layer2.0.bn1.weight'
    parameter = twin.get_parameter(name)
    gradient = torch.autograd.grad(value, parameter)[0]
    torch.testing.assert_close(
        built.student.get_parameter(name),
        parameter - lr * gradient,
        atol=1e-4,
        rtol=1e-3,
    )
    assert lr * gradient.abs().max() > 5e-3


def test_pixels_that_are_not_certain_do_not_count():
    built = toys.model(dict(BARE, labels='soft'))
    with torch.no_grad():
        p = logits_of(built.architecture, image(built)).softmax(1)
    built.distiller.threshold = p.amax(1).quantile(0.7).item()
    losses = run(built, toys.wrapper(built), 1)[0].losses
    sure = p.amax(1) >= built.distiller.threshold
    expected = -(p * p.log()).sum(1)[sure].mean().item()
    assert losses['loss_ce'] == pytest.approx(expected, rel=1e-4)


def test_an_image_without_certain_pixels_is_skipped_and_leaves_no_trace():
    built = toys.model(dict(DOSE, threshold=1.0))
    before = weights(built.student)
    result = run(built, toys.wrapper(built, 0.1), 1)[0]
    assert result.counts['skipped'] == 1
    assert 'no pixel is certain enough' in result.events[0]['reason']
    assert all(torch.equal(v, before[k]) for k, v in weights(built.student).items())
    assert not built.distiller.prototypes.found
    assert not built.distiller.replay.items


# ---- layer and domain term --------------------------------------------------------


def test_the_layer_term_compares_the_image_with_the_batch_of_views():
    built = toys.model(dict(BARE, lambda_layer=2.0, views=FLIPPED))
    twin = copy.deepcopy(built.architecture)
    losses = run(built, toys.wrapper(built), 1)[0].losses
    x = image(built)
    ours = inputs_of_norms(twin, x)
    theirs = inputs_of_norms(twin, torch.cat([x, x.flip(-1)]))
    expected = 2.0 * gap(twin, ours, theirs)
    assert expected > 0
    assert losses['loss_layer'] == pytest.approx(expected, rel=1e-3)
    assert 'loss_domain' not in losses


def test_of_one_model_and_one_image_the_layer_term_is_zero():
    built = toys.model(dict(BARE, lambda_layer=1.0))
    for result in run(built, toys.wrapper(built, 0.1), 2):
        assert result.losses['loss_layer'] == pytest.approx(0.0, abs=1e-9)


def test_the_domain_term_compares_with_the_mean_of_the_domain_so_far():
    settings = dict(lambda_domain=1.0, prototypes=dict(momentum=0.5))
    built = toys.model(dict(BARE, **settings))
    twin = copy.deepcopy(built.architecture)
    # the weights stay: statistics are those of the source for each image
    optim = toys.wrapper(built, 0.0)
    losses = [result.losses for result in run(built, optim, 3)]
    first, second, third = (
        inputs_of_norms(twin, image(built, seed)) for seed in range(3)
    )
    assert losses[0]['loss_domain'] == pytest.approx(0.0, abs=1e-9)
    expected = gap(twin, second, first)
    assert losses[1]['loss_domain'] == pytest.approx(expected, rel=1e-3)
    assert 'loss_layer' not in losses[1]
    # half of the first and half of the second, mean and variance
    found = built.distiller.prototypes.found['fog'][0]
    means = [
        torch.cat([x.mean((0, 2, 3)) for x in one.values()])
        for one in (first, second, third)
    ]
    mean = (0.5 * means[0] + 0.5 * means[1]) * 0.5 + 0.5 * means[2]
    torch.testing.assert_close(found, mean, atol=1e-5, rtol=1e-4)


def test_another_domain_has_its_own_prototype():
    built = toys.model(dict(BARE, lambda_domain=1.0))
    optim = toys.wrapper(built, 0.0)
    run(built, optim, 1, 'fog')
    losses = run(built, optim, 1, 'night', start=1)[0].losses
    assert losses['loss_domain'] == pytest.approx(0.0, abs=1e-9)
    assert list(built.distiller.prototypes.found) == ['fog', 'night']


def test_terms_draw_the_student_to_the_statistics_they_name():
    built = toys.model(
        dict(BARE, lambda_domain=1e3, trainable='all', prototypes=dict(momentum=1e-6))
    )
    optim = toys.wrapper(built, 1e-2, torch.optim.Adam)
    run(built, optim, 1)
    values = [
        built.adapt_step(toys.batch(1), optim, domain='fog', step=i).losses
        for i in range(8)
    ]
    assert values[-1]['loss_domain'] < 0.5 * values[0]['loss_domain']


def test_statistics_of_sliding_windows_are_pooled():
    slide = dict(mode='slide', crop_size=(16, 32), stride=(16, 32))
    built = toys.model(dict(BARE, lambda_layer=1.0), **slide)
    twin = copy.deepcopy(built.architecture)
    losses = run(built, toys.wrapper(built), 1)[0].losses
    x = image(built)
    windows = torch.cat(
        [x[..., i : i + 16, j : j + 32] for i in (0, 16) for j in (0, 32)]
    )
    ours, theirs = inputs_of_norms(twin, x), inputs_of_norms(twin, windows)
    expected = gap(twin, ours, theirs)
    assert losses['loss_layer'] == pytest.approx(expected, rel=1e-3)


def test_bright_and_dark_are_found_to_be_two_domains():
    settings = dict(prototypes=dict(domains='detected'))
    built = toys.model(dict(BARE, **settings))
    optim = toys.wrapper(built, 1e-4)
    for step in range(8):
        data = toys.batch(step, truth=False)
        dark = step in (2, 3, 6)
        data['inputs'] = [x // 16 if dark else 128 + x // 2 for x in data['inputs']]
        # the stream's name says nothing
        built.adapt_step(data, optim, domain='same', step=step)
    report = built.distiller.report()['prototypes']
    assert report['names'] == ['domain 1', 'domain 2']
    assert report['distances'][0][1] > 0.1


# ---- replay -----------------------------------------------------------------------


def test_an_image_is_scored_once_and_only_after_the_weights_moved():
    replay = dict(score_interval=1)
    built = toys.model(dict(BARE, replay=replay, steps=2))
    run(built, toys.wrapper(built, 0.1), 2)
    assert [item['step'] for item in built.distiller.replay.items] == [0, 1]
    waiting = toys.model(dict(DOSE, replay=replay))
    run(waiting, toys.wrapper(waiting, 0.1, accumulative_counts=2), 4)
    assert [item['step'] for item in waiting.distiller.replay.items] == [1, 3]


def test_the_score_is_half_the_difference_of_the_gradients():
    built = toys.model(dict(BARE, replay=dict(score_interval=1)))
    before = copy.deepcopy(built.architecture)
    run(built, toys.wrapper(built, 0.1), 1)
    x = image(built)
    with torch.no_grad():
        labels = logits_of(before, x).argmax(1, keepdim=True)
    gradients = []
    for model in (before, built.architecture):
        y = x.clone().requires_grad_()
        total = logits_of(model, y).gather(1, labels).sum()
        gradients.append(torch.autograd.grad(total, y)[0])
    expected = (gradients[0] - gradients[1]).abs().mean().item() / 2
    item = built.distiller.replay.items[0]
    assert item['score'] == pytest.approx(expected, rel=1e-3)
    # in the order of channels that the network takes
    assert torch.equal(item['image'], toys.batch(0, truth=False)['inputs'][0].flip(0))


def test_a_replay_is_labelled_by_the_teacher_of_the_moment():
    replay = dict(every=2, images=1, score_interval=10, cap=100.0, weight=0.5)
    built = toys.model(dict(BARE, replay=replay))
    optim = toys.wrapper(built, 0.1)
    first, second = run(built, optim, 1)[0], None
    now = copy.deepcopy(built.architecture)
    second = run(built, optim, 1, start=1)[0]
    assert 'loss_replay' not in first.losses
    with torch.no_grad():
        logits = logits_of(now, image(built, 0))
    expected = 0.5 * F.cross_entropy(logits, logits.argmax(1)).item()
    assert second.losses['loss_replay'] == pytest.approx(expected, rel=1e-4)


def test_a_replay_comes_every_so_many_images_also_with_several_updates():
    built = toys.model(dict(BARE, steps=2, replay=dict(every=3, score_interval=1)))
    results = run(built, toys.wrapper(built, 0.1), 7)
    passes = [result.counts['forwards'] for result in results]
    # label, two steps, score; a replay brings two images, each seen by both
    assert passes == [5, 5, 9, 5, 5, 9, 5]


def test_parts_that_are_off_cost_nothing():
    built = toys.model(BARE)
    result = run(built, toys.wrapper(built), 1)[0]
    assert (result.counts['forwards'], result.counts['backwards']) == (2, 1)
    assert built.distiller.report() == {'prototypes': None, 'buffer': None}
    full = toys.model(DOSE)
    optim = toys.wrapper(full)
    costs = [(r.counts['forwards'], r.counts['backwards']) for r in run(full, optim, 2)]
    # three views and the student; the first of five images is scored
    assert costs == [(6, 3), (4, 1)]


# ---- a stream ---------------------------------------------------------------------


def test_a_reset_forgets_prototypes_and_buffer():
    from mmkd_ext.adaptation.algorithm import reset_optimizer

    built = toys.model(
        dict(DOSE, views=FLIPPED, restore=0.0, replay=dict(every=9, score_interval=1))
    )
    optim = toys.wrapper(built, 0.1)
    first = [result.losses for result in run(built, optim, 2)]
    built.reset()
    reset_optimizer(optim)
    assert built.distiller.report() == {'prototypes': None, 'buffer': []}
    assert [result.losses for result in run(built, optim, 2)] == first


def test_the_report_is_what_the_result_file_takes():
    built = toys.model(dict(DOSE, replay=dict(score_interval=1)))
    optim = toys.wrapper(built, 0.1)
    run(built, optim, 2, 'fog')
    run(built, optim, 1, 'night', start=2)
    report = json.loads(json.dumps(built.distiller.report()))
    assert report['prototypes']['names'] == ['fog', 'night']
    table = report['prototypes']['distances']
    assert table[0][0] == table[1][1] == 0
    assert table[0][1] == table[1][0] > 0
    assert {item['domain'] for item in report['buffer']} == {'fog', 'night'}
    assert set(report['buffer'][0]) == {'domain', 'score', 'step', 'thumbnail'}
    settings = json.loads(json.dumps(built.distiller.describe()))
    assert settings['prototypes']['domains'] == 'known'
    assert settings['replay']['every'] == 100


@pytest.mark.parametrize('settings', [
    dict(order='adapt_then_predict'), dict(feature='output'), dict(mixing=0.5),
    dict(mixing=1.0),
    dict(student_batch='views', views=[dict(scale=1.0), 0.5], min_view_side=1),
    dict(prototypes=dict(domains='single')),
])  # fmt: skip
def test_it_learns_with_other_settings(settings):
    built = toys.model(dict(DOSE, **settings), pooled=True)
    before = weights(built.student)
    results = run(built, toys.wrapper(built, 0.1), 2)
    assert all(result.counts['updates'] == 1 for result in results)
    assert any(not torch.equal(v, before[k]) for k, v in weights(built.student).items())
    assert results[1].losses['loss_domain'] > 0


# ---- what does not fit ------------------------------------------------------------


def test_a_network_without_batch_norm_is_refused_unless_nothing_needs_it():
    with pytest.raises(ConfigError, match='works on batch normalisation'):
        toys.model(DOSE, norm='GN')
    built = toys.model(BARE, norm='GN')
    assert run(built, toys.wrapper(built), 1)[0].counts['updates'] == 1


def test_a_network_with_few_batch_norms_is_warned_about():
    from mmkd_ext.adaptation import ContinualAdaptation

    config = toys.segmentor('GN')
    config['decode_head']['norm_cfg'] = toys.NORM
    with pytest.warns(UserWarning, match=r'has 2 layer\(s\) beside 20'):
        ContinualAdaptation(config, DOSE)
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*acts on batch normalisation')
        toys.model(DOSE)


def test_domains_that_the_stream_does_not_name_cannot_be_known():
    built = toys.model(DOSE)
    with pytest.raises(ConfigError, match='the stream names no domain'):
        built.adapt_step(toys.batch(0), toys.wrapper(built))


@pytest.mark.parametrize(('settings', 'word'), [
    (dict(labels='sft'), 'soft'), (dict(feature='inputs'), '`input`'),
    (dict(lambda_layer=-1), 'lambda_layer'), (dict(anchor=2), 'anchor'),
    (dict(student_batch='view'), 'views'), (dict(replay=dict(quotas=5)), '`quota`'),
    (dict(prototypes=dict(domain='known')), 'domains'),
])  # fmt: skip
def test_wrong_settings_say_what_is_wrong(settings, word):
    with pytest.raises(ConfigError, match=word):
        toys.model(dict(DOSE, **settings))
