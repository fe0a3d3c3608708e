"""An adversary's objectives, and the discriminator of SKDS, equal their slow twins."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest
import torch

from mmkd_ext import functional
from mmkd_ext.methods import SKDSDiscriminator

spec = importlib.util.spec_from_file_location(
    'twins_adversarial', Path(__file__).with_name('twins_adversarial.py')
)
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

DTYPES = [(torch.float64, 1e-12), (torch.float32, 1e-6)]


def noise(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(('dtype', 'tolerance'), DTYPES)
@pytest.mark.parametrize('name', ['hinge_critic', 'wasserstein_critic'])
def test_objectives_equal_their_twins(name, dtype, tolerance):
    real, fake = 2 * noise(7, dtype=dtype), 2 * noise(7, seed=1, dtype=dtype)
    found = getattr(functional, name)(real, fake)
    wanted = getattr(twins, name)(real.tolist(), fake.tolist())
    torch.testing.assert_close(
        found, torch.tensor(wanted, dtype=dtype), rtol=tolerance, atol=tolerance
    )


def test_the_penalty_equals_central_differences():
    real, fake, weight = noise(3, 4), noise(3, 4, seed=1), noise(5, 4, seed=2)

    def critic(x):
        return (x @ weight.t()).tanh().sum(1)

    def slow(x):
        rows = weight.tolist()
        return sum(math.tanh(sum(w * v for w, v in zip(row, x))) for row in rows)

    found = functional.gradient_penalty(
        critic, real, fake, generator=torch.Generator().manual_seed(3)
    )
    places = torch.rand(
        3, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    wanted = twins.gradient_penalty(
        slow, real.tolist(), fake.tolist(), places.flatten().tolist()
    )
    torch.testing.assert_close(
        found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-7, atol=1e-7
    )


def bare(conv):
    """Weight and bias of a convolution, a 1x1 one as a matrix."""
    weight = conv.weight.flatten(1) if conv.kernel_size == (1, 1) else conv.weight
    bias = torch.zeros(len(weight)) if conv.bias is None else conv.bias
    return weight.tolist(), bias.tolist()


def judged(net, x):
    """What comes before the score."""
    attention = net.attentions[1]
    attention.gamma.data.fill_(0.7)
    for conv in net.convs:
        x = twins.leaky(twins.halved(x, *bare(conv), up=net.conditional))
    parts = (attention.query, attention.key, attention.value)
    return twins.attended(x, *map(bare, parts), 0.7)


def built(**settings):
    torch.manual_seed(0)
    settings = {'widths': (3, 8), 'attention': 1, 'spectral_norm': False, **settings}
    return SKDSDiscriminator(2, **settings).double()


@pytest.mark.parametrize(
    ('size', 'picture'), [((4, 6), (4, 6)), ((5, 3), (10, 7)), ((1, 2), (3, 5))]
)
def test_the_conditional_discriminator_equals_its_twin(size, picture):
    net = built(conditional=True)
    logits, image = noise(2, 2, *size), noise(2, 3, *picture, seed=1)
    wanted = []
    for one, seen in zip(logits.tolist(), image.tolist()):
        x = judged(net, one + twins.averaged(seen, *size))
        (weight,), (bias,) = bare(net.score)
        wanted.append([twins.mean_score(x, weight, bias)])
    torch.testing.assert_close(
        net(logits, image).tolist(), wanted, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize('size', [(16, 20), (19, 23), (4, 6), (1, 3)])
def test_the_published_discriminator_equals_its_twin(size):
    net, logits = built(), 3 * noise(2, 2, *size) + 1
    wanted = []
    for one in twins.normalised(logits.tolist()):
        (weight,), (bias,) = bare(net.score)
        wanted.append(twins.window_scores(judged(net, one), weight, bias))
    torch.testing.assert_close(net(logits).tolist(), wanted, rtol=1e-9, atol=1e-9)
