"""Spatial and channel attention: sums, limits of the temperature, the slow twins."""

from __future__ import annotations

from math import exp

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import (
    CALM,
    SEEDS,
    doubles,
    slow_channel_attention,
    slow_spatial_attention,
)

from mmkd_ext.errors import ConfigError
from mmkd_ext.functional import spatial_attention
from mmkd_ext.methods.fgd import channel_attention

BOTH = pytest.mark.parametrize('attention', [spatial_attention, channel_attention])
TAUS = st.sampled_from([0.25, 0.5, 1.0, 4.0])
SHAPES = st.tuples(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


def test_two_positions_have_the_closed_form():
    # strengths 3 and 1 (means of |4|, |-2| and of |1|, |1|): 2 sigmoid(2 / tau)
    feature = torch.tensor([[[[4.0, 1.0]], [[-2.0, 1.0]]]], dtype=torch.float64)
    found = spatial_attention(feature, tau=0.5)
    first = 2 / (1 + exp(-2 / 0.5))
    assert found.flatten().tolist() == pytest.approx([first, 2 - first])


def test_two_channels_have_the_closed_form():
    # strengths 2.5 and 1.5
    feature = torch.tensor([[[[4.0, 1.0]], [[-2.0, 1.0]]]], dtype=torch.float64)
    found = channel_attention(feature, tau=0.5)
    first = 2 / (1 + exp(-1 / 0.5))
    assert found.flatten().tolist() == pytest.approx([first, 2 - first])


@BOTH
@CALM
@given(SHAPES, SEEDS, TAUS)
def test_is_positive_and_one_on_average(attention, shape, seed, tau):
    found = attention(doubles(*shape, seed=seed), tau=tau)
    assert (found > 0).all()
    torch.testing.assert_close(
        found.flatten(1).mean(1), torch.ones(shape[0], dtype=torch.float64))


@BOTH
def test_gradient_is_right(attention):
    feature = doubles(2, 3, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: attention(x, tau=0.5), (feature,))


@BOTH
def test_extreme_features_stay_finite(attention):
    feature = 1e4 * doubles(2, 3, 2, 2).sign()
    feature[0, 0, 0, 0] = 0
    assert attention(feature.float(), tau=0.5).isfinite().all()


@BOTH
@pytest.mark.parametrize('tau', [0, float('nan')])
def test_refuses_a_temperature_that_is_not_positive(attention, tau):
    with pytest.raises(ConfigError, match='`tau`'):
        attention(torch.zeros(1, 1, 1, 1), tau=tau)


@pytest.mark.parametrize(('shape', 'tau'), [((2, 3, 4, 5), 4.0), ((1, 5, 3, 1), 0.25)])
@pytest.mark.parametrize(('attention', 'slow'), [
    (spatial_attention, slow_spatial_attention),
    (channel_attention, slow_channel_attention)])
def test_attention_equals_its_twin(attention, slow, shape, tau):
    feature = doubles(*shape)
    torch.testing.assert_close(attention(feature, tau=tau), torch.tensor(
        slow(feature.tolist(), tau), dtype=torch.float64))
