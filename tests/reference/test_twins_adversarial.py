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


@pytest.mark.parametrize(
    ('size', 'picture'), [((4, 6), (4, 6)), ((5, 3), (10, 7)), ((1, 2), (3, 5))]
)
def test_the_discriminator_equals_its_twin(size, picture):
    torch.manual_seed(0)
    net = SKDSDiscriminator(2, widths=(3, 8), attention=1, spectral_norm=False).double()
    attention = net.attentions[1]
    attention.gamma.data.fill_(0.7)
    logits, image = noise(2, 2, *size), noise(2, 3, *picture, seed=1)

    def pair(conv):
        weight = conv.weight.flatten(1) if conv.kernel_size == (1, 1) else conv.weight
        bias = torch.zeros(len(weight)) if conv.bias is None else conv.bias
        return weight.tolist(), bias.tolist()

    wanted = []
    for one, seen in zip(logits.tolist(), image.tolist()):
        x = one + twins.averaged(seen, *size)
        for conv in net.convs:
            x = twins.leaky(twins.halved(x, *pair(conv)))
        x = twins.attended(
            x, pair(attention.query), pair(attention.key), pair(attention.value), 0.7
        )
        (weight,), (bias,) = pair(net.score)
        wanted.append(twins.mean_score(x, weight, bias))
    torch.testing.assert_close(
        net(logits, image).tolist(), wanted, rtol=1e-12, atol=1e-12
    )
