"""What random masks promise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import random_mask

CALM = settings(derandomize=True, deadline=None, max_examples=40, database=None)
OVER = pytest.mark.parametrize('over', ['spatial', 'channel'])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@OVER
def test_no_ratio_masks_nothing_and_a_ratio_of_one_all(over):
    feature = torch.zeros(4, 64, 16, 16)
    assert random_mask(feature, 0.0, over=over, generator=seeded()).all()
    assert not random_mask(feature, 1, over=over, generator=seeded()).any()


@CALM
@given(st.floats(0, 1), st.integers(0, 2**31), st.sampled_from(['spatial', 'channel']))
def test_the_share_of_zeros_is_the_ratio(ratio, seed, over):
    feature = torch.zeros(20, 500, 20, 25)
    mask = random_mask(feature, ratio, over=over, generator=seeded(seed))
    assert mask.numel() == 10_000
    # six deviations of 10000 throws
    assert abs((mask == 0).double().mean().item() - ratio) < 0.031


@OVER
def test_a_larger_ratio_masks_more_of_the_same(over):
    feature = torch.zeros(2, 8, 9, 9)
    few, many = (random_mask(feature, ratio, over=over, generator=seeded(1))
                 for ratio in (0.3, 0.6))
    assert (many <= few).all()


@OVER
def test_only_zeros_and_ones_in_the_dtype_of_the_feature(over):
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        mask = random_mask(torch.zeros(2, 3, 4, 4, dtype=dtype), 0.5, over=over,
                           generator=seeded(2))
        assert mask.dtype == dtype
        assert set(mask.flatten().tolist()) == {0.0, 1.0}


def test_half_precision_masks_the_same_positions():
    masks = [random_mask(torch.zeros(2, 3, 40, 40, dtype=dtype), 0.65,
                         generator=seeded(3)).double()
             for dtype in (torch.float16, torch.float64)]
    assert torch.equal(*masks)


def test_an_own_generator_leaves_the_default_one_alone():
    before = torch.get_rng_state()
    random_mask(torch.zeros(1, 2, 3, 4), 0.5, generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)
    random_mask(torch.zeros(1, 2, 3, 4), 0.5)
    assert not torch.equal(torch.get_rng_state(), before)


def test_refuses_what_is_no_map_or_no_share():
    with pytest.raises(ShapeError, match='`n c h w` is needed'):
        random_mask(torch.zeros(2, 3), 0.5)
    for ratio in (-0.1, 1.1, float('nan')):
        with pytest.raises(ConfigError, match='`ratio` must be a number >= 0 and <= 1'):
            random_mask(torch.zeros(1, 2, 3, 4), ratio)
    with pytest.raises(ConfigError, match='Did you mean `channel`'):
        random_mask(torch.zeros(1, 2, 3, 4), 0.5, over='channels')


@pytest.mark.gpu
def test_is_drawn_on_the_device():
    feature = torch.zeros(1, 2, 3, 4, device='cuda')
    generator = torch.Generator('cuda').manual_seed(0)
    assert random_mask(feature, 0.5, generator=generator).is_cuda
