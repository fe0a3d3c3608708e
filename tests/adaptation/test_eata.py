"""EATA: weights by entropy, Fisher information, and a whole reset."""

from __future__ import annotations

import math

import adapt_toys as toys
import pytest
import torch
from torch import nn

pytestmark = pytest.mark.mmseg
SIZE = (16, 32)
EATA = dict(type='mmkd_ext.EATADistiller', statistics='source', share=1.0)
NO_FISHER = dict(EATA, fisher_images=0)


def logits_of(net, data):
    logits = net.decode_head(net.backbone(data['inputs']))
    return nn.functional.interpolate(logits, SIZE, mode='bilinear')


def test_certain_pixels_count_by_their_certainty():
    source = toys.model(dict(type='mmkd_ext.SourceDistiller')).architecture
    data = source.data_preprocessor(toys.batch(0, SIZE), False)
    with torch.no_grad():
        p = logits_of(source, data).softmax(1)
    uncertainty = -(p * p.log()).sum(1)
    # half of the pixels are certain enough
    limit = uncertainty.median().item()
    kept = uncertainty < limit
    share = limit / math.log(toys.CLASSES)
    built = toys.model(dict(NO_FISHER, margin=None, share=share))
    each = uncertainty[kept]
    expected = (each * (limit - each).exp()).mean()
    result = built.adapt_step(toys.batch(0, SIZE), toys.wrapper(built, 0.1))
    assert result.losses['loss_entropy'] == pytest.approx(expected.item(), rel=1e-4)


def test_an_uncertain_or_a_redundant_image_updates_nothing():
    uncertain = toys.model(dict(NO_FISHER, share=0.01))
    result = uncertain.adapt_step(toys.batch(0, SIZE), toys.wrapper(uncertain))
    assert result.events[0]['reason'] == 'no pixel is certain enough'
    built = toys.model(NO_FISHER)
    optim = toys.wrapper(built, 0.0)
    updates = [
        built.adapt_step(toys.batch(0, SIZE), optim).counts['updates'] for _ in range(2)
    ]
    assert updates == [1, 0]


def test_two_updates_on_an_image_are_not_redundant():
    built = toys.model(dict(NO_FISHER, steps=2))
    result = built.adapt_step(toys.batch(0, SIZE), toys.wrapper(built, 1e-4))
    assert result.counts['updates'] == 2


def test_the_fisher_information_is_the_mean_squared_gradient_at_the_source():
    built = toys.model(dict(EATA, margin=None, fisher_images=2))
    optim = toys.wrapper(built, 0.1)
    expected = 0.0
    for i in range(2):
        built.adapt_step(toys.batch(i, SIZE), optim, step=i)
        twin = toys.model(dict(type='mmkd_ext.SourceDistiller')).architecture
        data = twin.data_preprocessor(toys.batch(i, SIZE), False)
        expected = expected + squares(twin, data, built.distiller.trained()) / 2
    torch.testing.assert_close(built.distiller.fisher, expected, rtol=1e-3, atol=1e-9)
    # and no more of it after two images
    before = built.distiller.fisher.clone()
    result = built.adapt_step(toys.batch(5, SIZE), optim, step=2)
    assert torch.equal(built.distiller.fisher, before)
    assert (result.counts['forwards'], result.counts['backwards']) == (1, 1)


def squares(net, data, names):
    """Squared gradients of the cross entropy with the net's own classes."""
    weights = [net.get_parameter(k).requires_grad_() for k in names]
    logits = logits_of(net, data)
    loss = nn.functional.cross_entropy(logits, logits.argmax(1))
    found = torch.autograd.grad(loss, weights)
    return torch.cat([g.flatten() for g in found]).square()


def test_the_pull_to_the_source_is_weighted_by_it():
    built = toys.model(dict(EATA, fisher_weight=10.0))
    method = built.distiller
    method.fisher.fill_(0.5)
    method.measured.fill_(1)
    with torch.no_grad():
        for parameter in method.trained().values():
            parameter.add_(0.1)
    # 10 * sum of 0.5 * 0.1^2
    expected = 10 * 0.5 * 0.01 * method.fisher.numel()
    result = built.adapt_step(toys.batch(0, SIZE), toys.wrapper(built))
    assert result.losses['loss_fisher'] == pytest.approx(expected, rel=1e-3)


def test_a_reset_forgets_predictions_and_fisher_information():
    built = toys.model(EATA)
    toys.stream(built, toys.wrapper(built), images=1, size=SIZE)
    method = built.distiller
    assert method.new.mean is not None
    assert method.fisher.any()
    built.reset()
    assert method.new.mean is None
    assert not method.fisher.any()
    assert method.measured == 0
