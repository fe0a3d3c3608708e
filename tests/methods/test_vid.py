"""VID: cases for the laws, learned variances, the slow twin, bad input."""

from __future__ import annotations

from math import log

import pytest
import torch
from slow_parts import doubles

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import VIDLoss, VIDRegressor
from mmkd_ext.methods.vid import gaussian_surprise
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

ZERO_AT_EQUALITY = {'zero_at_equality': 'it is a density, log(variance) / 2 there'}
# softplus(0), so that no digit is lost in the parameter's float32
EXACT = log(2) + 1e-5
CASES = [
    LossCase(VIDLoss, {'channels': 3}, exempt=ZERO_AT_EQUALITY),
    LossCase(
        VIDLoss, {'channels': 4, 'variance': EXACT}, inputs=pair(3, 4),
        exempt=ZERO_AT_EQUALITY,
        values=[
            KnownValue([[1.0] * 4], [[1.0] * 4], log(EXACT) / 2, 'the mean itself'),
            KnownValue([[1.0] * 4], [[4.0] * 4], (9 / EXACT + log(EXACT)) / 2,
                       'three away, by hand')],
    ),
    LossCase(
        VIDLoss, {'channels': (3, 4)}, inputs=pyramid((2, 3, 4, 4), (2, 4, 1, 1)),
        joint=True,
        exempt={**ZERO_AT_EQUALITY,
                'pyramids_sum_over_levels': 'each level has variances of its own',
                'reductions_agree': "`'none'` takes one level"},
    ),
]  # fmt: skip


def test_variances_are_parameters_and_find_the_mean_square_of_each_channel():
    # the derivative by the variance is 0 where it is the mean of the squared errors
    wanted = torch.tensor([0.5, 2.0, 8.0])
    error = wanted.sqrt()[None, :, None, None] * torch.tensor([1.0, -1.0]).reshape(
        1, 1, 1, 2)
    loss = VIDLoss(3)
    assert [tuple(p.shape) for p in loss.parameters()] == [(3,)]
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.2)
    for _ in range(300):
        optimizer.zero_grad()
        loss(error, torch.zeros_like(error)).backward()
        optimizer.step()
    torch.testing.assert_close(loss.variances().detach(), wanted, rtol=1e-3, atol=0)


@pytest.mark.parametrize('variance', [1e-3, 5.0, 100.0])
def test_begins_with_the_variance_that_was_asked_for(variance):
    assert VIDLoss(2, variance=variance).variances().tolist() == pytest.approx(
        [variance] * 2, rel=1e-4)


def test_an_equal_feature_costs_half_the_logarithm_of_the_first_variance():
    feature = doubles(2, 3, 4, 4).float()
    assert VIDLoss(3)(feature, feature).item() == pytest.approx(0.80472, abs=1e-5)


def test_no_variance_falls_below_the_least_one():
    loss = VIDLoss(2)
    torch.nn.init.constant_(loss.scales[0], -1e4)
    value = loss(torch.zeros(1, 2), torch.full((1, 2), 1e-3))
    value.backward()
    assert loss.variances().tolist() == pytest.approx([1e-5] * 2)
    assert value.item() == pytest.approx((1e-6 / 1e-5 + log(1e-5)) / 2, rel=1e-4)
    assert loss.scales[0].grad.isfinite().all()


def test_levels_with_channels_of_their_own_add_up():
    loss = VIDLoss((3, 4), variance=2.0)
    first, second = doubles(2, 3, 4, 4), doubles(2, 4, 2, 2)
    found = loss((first, second), (first + 1, second + 2))
    assert found.item() == pytest.approx((1 / 2 + log(2)) / 2 + (4 / 2 + log(2)) / 2)


@pytest.mark.parametrize('shape', [(2, 4), (2, 4, 3, 5), (1, 4, 1, 1)])
def test_the_regressor_takes_vectors_and_maps(shape):
    regressor = VIDRegressor(4, 6)
    out = regressor(torch.ones(shape))
    assert out.shape == (shape[0], 6, *shape[2:])
    assert [tuple(p.shape) for p in regressor.parameters()] == [
        (6, 4, 1, 1), (6, 6, 1, 1), (6, 6, 1, 1)]
    # no ReLU after the last one: means may be negative
    torch.nn.init.constant_(regressor.layers[0].weight, 1.0)
    torch.nn.init.constant_(regressor.layers[2].weight, 1.0)
    torch.nn.init.constant_(regressor.layers[4].weight, -1.0)
    assert regressor(torch.ones(shape)).flatten()[0].item() == -4 * 6 * 6


@pytest.mark.parametrize(('build', 'message'), [
    (lambda: VIDLoss(0), '`VIDLoss.channels` must be an integer >= 1'),
    (lambda: VIDLoss(()), '`channels` must be a number, or one for each level'),
    (lambda: VIDLoss(2, least=0), '`least` must be a number > 0'),
    (lambda: VIDLoss(2, variance=1e-6), '`variance` must be a number > 1e-05'),
    (lambda: VIDRegressor(2, 0), '`VIDRegressor.channels` must be an integer >= 1')])
def test_refuses_numbers_that_make_no_density(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def test_says_which_shapes_do_not_fit():
    with pytest.raises(ShapeError, match='Axis `c` differs'):
        VIDLoss(3)(torch.zeros(2, 4), torch.zeros(2, 4))
    with pytest.raises(ShapeError, match='variances of 2 levels, but got 1'):
        VIDLoss((3, 4))(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ShapeError, match=r'takes \(n 4 h w\) or \(n 4\), but got'):
        VIDRegressor(4, 6)(torch.zeros(2, 3))


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_gaussian_surprise(mean, value, variance):
    return [[[((m - t) ** 2 / v + log(v)) / 2 for m, t in zip(*places)]
             for *places, v in zip(*samples, variance)]
            for samples in zip(mean, value)]


@pytest.mark.parametrize('shape', [(1, 1, 1), (2, 3, 4)])
def test_equals_its_twin(shape):
    mean, value = doubles(*shape), doubles(*shape, seed=1)
    variance = doubles(shape[1], seed=2).exp()
    slow = slow_gaussian_surprise(mean.tolist(), value.tolist(), variance.tolist())
    torch.testing.assert_close(gaussian_surprise(mean, value, variance),
                               torch.tensor(slow, dtype=torch.float64))
