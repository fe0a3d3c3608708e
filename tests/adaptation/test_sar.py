"""SAR: the sam_perturbation, its two filters, the recovery, and frozen blocks."""

from __future__ import annotations

import adapt_toys as toys
import pytest
import torch
from torch import nn

from mmkd_ext.adaptation.distillers.sar import sam_perturbation
from mmkd_ext.errors import ConfigError

pytestmark = pytest.mark.mmseg
SIZE = (16, 32)
SAR = dict(type='mmkd_ext.SARDistiller', statistics='source', share=1.0, recovery=None)


def test_the_climb_goes_rho_along_the_gradient_and_comes_back():
    weights = [nn.Parameter(torch.tensor([0.1, 0.7])), nn.Parameter(torch.zeros(3))]
    weights[0].grad = torch.tensor([3.0, 0.0])
    weights[1].grad = torch.tensor([0.0, 4.0, 0.0])
    before = [w.detach().clone() for w in weights]
    with sam_perturbation(weights, 0.5):
        # the gradient is 5 long
        torch.testing.assert_close(weights[0].data, torch.tensor([0.4, 0.7]))
        torch.testing.assert_close(weights[1].data, torch.tensor([0.0, 0.4, 0.0]))
    assert all(torch.equal(w, b) for w, b in zip(weights, before))


def test_weights_come_back_from_an_error_and_stay_without_a_gradient():
    weights = [nn.Parameter(torch.ones(2))]
    with sam_perturbation(weights, 0.5):
        assert torch.equal(weights[0], torch.ones(2))
    weights[0].grad = torch.ones(2)

    def fail():
        with sam_perturbation(weights, 0.5):
            raise RuntimeError('out of memory')

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(weights[0], torch.ones(2))


def test_one_update_by_independent_means():
    built = toys.model(SAR)
    net = toys.model(dict(type='mmkd_ext.SourceDistiller')).architecture
    names = list(built.distiller.trained())
    weights = [net.get_parameter(name).requires_grad_() for name in names]
    data = net.data_preprocessor(toys.batch(0, SIZE), False)

    def gradient():
        logits = net.decode_head(net.backbone(data['inputs']))
        p = nn.functional.interpolate(logits, SIZE, mode='bilinear').softmax(1)
        return torch.autograd.grad(-(p * p.log()).sum(1).mean(), weights)

    first = gradient()
    norm = sum(g.square().sum() for g in first).sqrt()
    start = [w.detach().clone() for w in weights]
    with torch.no_grad():
        for weight, g in zip(weights, first):
            weight += 0.05 * g / norm
    second = gradient()
    result = built.adapt_step(toys.batch(0, SIZE), toys.wrapper(built, 0.1))
    assert (result.counts['forwards'], result.counts['backwards']) == (2, 2)
    for name, old, g in zip(names, start, second):
        found = built.architecture.get_parameter(name)
        torch.testing.assert_close(found, old - 0.1 * g, atol=1e-5, rtol=1e-4)


def test_the_last_blocks_are_frozen():
    built = toys.model(SAR)
    names = built.distiller.trained()
    assert names
    assert not any('layer4' in name for name in names)
    free = toys.model(dict(SAR, frozen=()))
    assert any('layer4' in name for name in free.distiller.trained())


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(frozen=['backbone.layer9.*']), 'matches a parameter'),
        (dict(frozen=['*']), 'leaves nothing'),
        (dict(frozen='backbone.*'), 'list of patterns'),
        (dict(rho=-1), '`rho`'),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        toys.model(dict(SAR, **settings))


def test_it_cannot_accumulate_gradients():
    built = toys.model(SAR)
    optim = toys.wrapper(built, accumulative_counts=2)
    with pytest.raises(ConfigError, match='accumulative_counts'):
        built.adapt_step(toys.batch(0, SIZE), optim)


def test_below_the_threshold_the_source_comes_back_and_the_average_starts_anew():
    built = toys.model(dict(SAR, recovery=100.0))
    optim = toys.wrapper(built, 0.1, torch.optim.Adam)
    result = built.adapt_step(toys.batch(0, SIZE), optim)
    (event,) = result.events
    assert (event['action'], 'recovered' in event['reason']) == ('reset', True)
    # the update was made, and then undone: no skip
    counts = {name: result.counts[name] for name in ('updates', 'skipped', 'resets')}
    assert counts == dict(updates=1, skipped=0, resets=1)
    assert built.distiller.average.isnan()
    assert not optim.optimizer.state
    source = built.source.module.state_dict()
    student = built.student_state_dict()
    assert all(torch.equal(value, source[name]) for name, value in student.items())


def test_the_average_is_of_the_second_losses():
    built = toys.model(SAR)
    method = built.distiller
    for loss in (1.0, 2.0):
        method.follow(torch.tensor(loss))
    # 0.9 * 1 + 0.1 * 2
    assert method.average.item() == pytest.approx(1.1)
    assert method.wants_reset() == ''
    method.recovery = 1.05
    assert method.wants_reset() == ''
    method.follow(torch.tensor(0.0))
    assert 'recovered' in method.wants_reset()


def test_the_second_pass_asks_the_pixels_that_passed_the_first():
    built = toys.model(SAR)
    seen, kept = [], []
    masks = iter((torch.arange(32) < 20, torch.arange(32) > 10))

    def told(logits):
        seen.append(next(masks).expand(1, *SIZE))
        return seen[-1]

    built.distiller.certain.forward = told
    compute = built.distiller.compute_losses

    def watched(batch):
        losses = compute(batch)
        kept.append(batch.state.certain)
        return losses

    built.distiller.compute_losses = watched
    built.adapt_step(toys.batch(0, SIZE), toys.wrapper(built))
    assert torch.equal(kept[0], seen[0])
    assert torch.equal(kept[1], seen[0] & seen[1])
