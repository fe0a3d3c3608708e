"""MGD: cases for the laws, the connector, the slow twins."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import CALM

from mmkd_ext.connectors import PerLevel
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import MGDConnector, MGDLoss
from mmkd_ext.methods.mgd import random_mask
from mmkd_ext.testing.laws import KnownValue, LossCase, pyramid

CASES = [
    LossCase(
        MGDLoss,
        # the default weight is small enough to hide in a tolerance
        {'loss_weight': 1.0},
        values=[
            KnownValue(
                [[[[1.0, 2.0]]], [[[0.0, -1.0]]]], [[[[3.0, 2.0]]], [[[0.0, 2.0]]]],
                13 / 2, '(4 + 0 + 0 + 9) / 2 images by hand')],
    ),
    LossCase(MGDLoss, {'loss_weight': 1.0},
             inputs=pyramid((2, 3, 4, 4), (2, 3, 2, 1)), name='pyramid'),
]


def test_weighs_as_one_stage_detectors_unless_told():
    student, teacher = torch.ones(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)
    assert MGDLoss()(student, teacher).item() == pytest.approx(2e-5 * 60)
    assert MGDLoss(loss_weight=5e-7)(student, teacher).item() == pytest.approx(3e-5)


def identity(channels, ratio, **settings):
    """A connector whose convolutions pass everything on."""
    connector = MGDConnector(channels, ratio, **settings)
    with torch.no_grad():
        for conv in (connector.generation[0], connector.generation[2]):
            conv.weight.zero_()
            conv.bias.zero_()
            conv.weight[range(channels), range(channels), 1, 1] = 1
    return connector


def test_masks_positions_in_all_channels():
    out = identity(8, 0.5)(torch.ones(2, 8, 6, 7))
    assert torch.equal(out, out[:, :1].expand_as(out))
    assert 0 < out.mean() < 1


def test_masks_channels_at_all_positions():
    out = identity(8, 0.5, mask='channel')(torch.ones(4, 8, 6, 7))
    assert torch.equal(out, out[..., :1, :1].expand_as(out))
    assert 0 < out.mean() < 1


def test_masks_after_the_channels_are_aligned():
    connector = MGDConnector(6, 0.5, in_channels=3)
    feature = torch.randn(2, 3, 4, 5)
    torch.manual_seed(4)
    found = connector(feature)
    torch.manual_seed(4)
    aligned = connector.align(feature)
    torch.testing.assert_close(
        found, connector.generation(aligned * random_mask(aligned, 0.5)))


@pytest.mark.parametrize('seed', [None, 3])
def test_evaluation_masks_nothing_and_draws_nothing(seed):
    connector = identity(2, 0.9, seed=seed).eval()
    feature = torch.rand(1, 2, 8, 8)
    before = torch.get_rng_state(), copy.deepcopy(connector.state_dict())
    assert torch.equal(connector(feature), feature)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(x, before[1][k]) for k, x in connector.state_dict().items())


def test_a_seed_gives_masks_of_its_own_that_disturb_nothing():
    feature = torch.ones(1, 2, 8, 8)
    before = torch.get_rng_state()
    runs = []
    for seed in (3, 3, 4):
        connector = identity(2, 0.5, seed=seed)
        state = torch.get_rng_state()
        runs.append([connector(feature) for _ in range(3)])
        assert torch.equal(torch.get_rng_state(), state)
        torch.set_rng_state(before)
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1]))
    assert not any(torch.equal(a, b) for a, b in zip(runs[0], runs[2]))
    assert not torch.equal(runs[0][0], runs[0][1])


def test_a_seeded_connector_resumes_where_it_stopped():
    feature = torch.ones(1, 2, 8, 8)
    whole = identity(2, 0.5, seed=3)
    masks = [whole(feature) for _ in range(5)]
    stopped = identity(2, 0.5, seed=3)
    for _ in range(2):
        stopped(feature)
    resumed = identity(2, 0.5, seed=3)
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    torch.manual_seed(99)
    assert all(torch.equal(resumed(feature), mask) for mask in masks[2:])
    assert all(torch.equal(copy.deepcopy(stopped)(feature), masks[2]) for _ in range(2))


def test_levels_of_one_seed_have_masks_of_their_own():
    config = dict(type='mmkd_ext.MGDConnector', channels=2, mask_ratio=0.5, seed=3)
    per_level = PerLevel(config, levels=2)
    for i in (0, 1):
        per_level.connectors[i] = identity(2, 0.5, seed=3)
    large, small = per_level((torch.ones(1, 2, 8, 8), torch.ones(1, 2, 4, 8)))
    assert not torch.equal(large[:, :, :4], small)


@pytest.mark.parametrize('feature', [torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4)])
def test_refuses_other_channels_and_other_axes(feature):
    with pytest.raises(ShapeError, match=r'`MGDConnector` takes \(n 4 h w\), but got'):
        MGDConnector(4)(feature)


def test_refuses_an_unknown_mask_and_a_ratio_beyond_one():
    with pytest.raises(ConfigError, match='Did you mean `spatial`'):
        MGDConnector(4, mask='spacial')
    with pytest.raises(ConfigError, match='`mask_ratio`'):
        MGDConnector(4, 65)


@pytest.mark.gpu
@pytest.mark.parametrize('seed', [None, 3])
def test_draws_its_mask_on_the_gpu(seed):
    connector = identity(2, 0.5, seed=seed).cuda()
    out = connector(torch.ones(1, 2, 32, 32, device='cuda'))
    assert 0.2 < out.mean().item() < 0.8


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@CALM
@given(st.floats(0, 1), st.integers(0, 2**31), st.sampled_from(['spatial', 'channel']))
def test_the_share_of_zeros_is_the_ratio(ratio, seed, over):
    feature = torch.zeros(20, 500, 20, 25)
    mask = random_mask(feature, ratio, over=over, generator=seeded(seed))
    assert mask.numel() == 10_000
    # six deviations of 10000 throws
    assert abs((mask == 0).double().mean().item() - ratio) < 0.031


def slow_random_mask(uniform, ratio, over):
    """MGD: zeros and ones from uniform numbers, nested as those."""
    if isinstance(uniform, list):
        return [slow_random_mask(u, ratio, over) for u in uniform]
    if over == 'spatial':
        return 0.0 if uniform > 1 - ratio else 1.0
    return 0.0 if uniform < ratio else 1.0


def convolved(maps, weight, bias):
    """Cross-correlation with zeros around, ``weight[out][in][k][k]``, for one image."""
    height, width = len(maps[0]), len(maps[0][0])
    reach = len(weight[0][0]) // 2

    def at(plane, y, x):
        return plane[y][x] if 0 <= y < height and 0 <= x < width else 0.0

    return [[[bias[o] + sum(
        weight[o][i][dy + reach][dx + reach] * at(maps[i], y + dy, x + dx)
        for i in range(len(maps))
        for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1))
        for x in range(width)] for y in range(height)] for o in range(len(weight))]


def slow_generated(maps, mask, first, second):
    """MGD's generator for one image: convolution, ReLU, convolution.

    ``mask`` is ``[1][h][w]``; ``first`` and ``second`` are pairs of weight and bias.
    """
    masked = [[[v * m for v, m in zip(row, keep)] for row, keep in zip(plane, mask[0])]
              for plane in maps]
    hidden = [[[max(v, 0.0) for v in row] for row in plane]
              for plane in convolved(masked, *first)]
    return convolved(hidden, *second)


@pytest.mark.parametrize(('over', 'drawn'), [
    ('spatial', (2, 1, 5, 4)), ('channel', (2, 3, 1, 1))])
@pytest.mark.parametrize('ratio', [0.15, 1.0])
def test_the_mask_equals_its_twin_on_the_same_numbers(ratio, over, drawn):
    uniform = torch.rand(drawn, generator=seeded(3))
    fast = random_mask(torch.zeros(2, 3, 5, 4), ratio, over=over, generator=seeded(3))
    assert fast.tolist() == slow_random_mask(uniform.tolist(), ratio, over)


def test_the_generator_equals_its_twin():
    feature = torch.randn(2, 3, 5, 2, dtype=torch.float64)
    connector = MGDConnector(3, mask_ratio=0.4).double()
    torch.manual_seed(5)
    fast = connector(feature).detach()
    torch.manual_seed(5)
    mask = random_mask(feature, 0.4)
    first, second = (
        (conv.weight.tolist(), conv.bias.tolist())
        for conv in (connector.generation[0], connector.generation[2]))
    slow = [slow_generated(image, keep, first, second)
            for image, keep in zip(feature.tolist(), mask.tolist())]
    torch.testing.assert_close(fast, torch.tensor(slow, dtype=torch.float64))
