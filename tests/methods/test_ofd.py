"""OFD: cases for the laws, margins, the slow twins, bad input."""

from __future__ import annotations

import copy
from math import exp, inf, pi, sqrt

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm as normal
from slow_parts import doubles
from torch import nn

from mmkd_ext.errors import CheckpointError, ConfigError, ShapeError
from mmkd_ext.methods import OFDAdapter, OFDLoss, OFDMargin
from mmkd_ext.methods.ofd import negative_mean, partial_squared_error
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

EARLIER = {'pyramids_sum_over_levels': 'an earlier level counts half'}
CASES = [
    LossCase(
        OFDLoss, exempt=EARLIER,
        values=[
            KnownValue([[-3.0, -1.0, -1.0, 2.0]], [[-2.0, -2.0, 1.0, 5.0]],
                       0 + 1 + 4 + 9, 'low enough, too high, and twice positive'),
            KnownValue([[1.0], [1.0]], [[3.0], [3.0]], 4.0, 'a sum over a batch of 2')],
    ),
    LossCase(OFDLoss, inputs=pair(3, 5), exempt=EARLIER, name='vectors'),
    LossCase(
        OFDLoss, inputs=pyramid((2, 3, 4, 4), (2, 5, 2, 2)), name='pyramid',
        exempt=EARLIER,
        values=[KnownValue(([[1.0]], [[1.0]], [[1.0]]), ([[3.0]], [[3.0]], [[3.0]]),
                           4 * (1 / 4 + 1 / 2 + 1), 'weights 1/4, 1/2, 1')],
    ),
]  # fmt: skip


def batch_norm(weight, bias):
    norm = nn.BatchNorm2d(len(weight))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(weight))
        norm.bias.copy_(torch.tensor(bias))
    return norm


# ---- margins ------------------------------------------------------------------------


@pytest.mark.parametrize(('mean', 'deviation'), [
    (0.0, 1.0), (0.3, 0.8), (-2.0, 0.5), (1.5, 0.6), (-8.0, 1.0)])  # fmt: skip
def test_the_margin_is_the_integral_over_negative_values(mean, deviation):
    density = normal(mean, deviation).pdf
    low = mean - 12 * deviation
    whole, _ = quad(lambda x: x * density(x), low, 0, points=[min(mean, 0)])
    share, _ = quad(density, low, 0, points=[min(mean, 0)])
    found = negative_mean(*(torch.tensor(x, dtype=torch.float64)
                            for x in (mean, deviation)))
    assert found.item() == pytest.approx(whole / share, rel=1e-6)


def test_a_channel_that_is_hardly_ever_negative_has_three_deviations():
    # one value in a thousand lies 3.09 deviations below the mean
    found = negative_mean(torch.tensor([3.08, 3.10]), torch.ones(2))
    assert found[0].item() == pytest.approx(
        3.08 - normal.pdf(3.08) / normal.cdf(-3.08), abs=1e-4)
    assert found[1].item() == -3


def test_a_channel_without_deviation_is_its_mean_at_most_0():
    found = negative_mean(torch.tensor([-2.0, 0.0, 2.0]), torch.zeros(3))
    assert found.tolist() == [-2.0, 0.0, 0.0]


def test_the_sign_of_a_weight_does_not_count():
    feature = torch.full((1, 2, 1, 1), -9.0)
    lifted = OFDMargin(2)(feature, batch_norm([-2.0, 2.0], [0.5, 0.5]))
    assert lifted[0, 0] == lifted[0, 1]


@pytest.mark.parametrize('shape', [(2, 2), (2, 2, 3, 4), (1, 2, 1, 1)])
def test_lifts_what_is_below_the_margin_of_its_channel(shape):
    feature = torch.full(shape, -1.0)
    lifted = OFDMargin(2)(feature, batch_norm([1.0, 2.0], [0.0, 0.0]))
    margin = sqrt(2 / pi)
    assert lifted.shape == shape
    torch.testing.assert_close(lifted[:, 0], torch.full_like(lifted[:, 0], -margin))
    assert (lifted[:, 1] == -1).all()


def test_a_dry_run_leaves_no_margin_and_the_first_step_keeps_the_loaded_one():
    margin, feature = OFDMargin(1), torch.full((1, 1), -9.0)
    margin.eval()(feature, batch_norm([5.0], [0.0]))
    assert margin.margin.isnan().all()
    margin.train()(feature, batch_norm([1.0], [0.0]))
    assert margin.state_dict()['margin'].item() == pytest.approx(-sqrt(2 / pi))
    # known from now on
    assert margin(feature, batch_norm([5.0], [0.0])).item() == pytest.approx(
        -sqrt(2 / pi))


def test_a_resumed_run_has_the_same_margins_or_is_an_error():
    norm, feature = batch_norm([1.0, 2.0], [0.1, -0.2]), doubles(2, 2).float()
    margin = OFDMargin(2)
    margin(feature, norm)
    resumed = OFDMargin(2)
    resumed.load_state_dict(copy.deepcopy(margin.state_dict()))
    assert torch.equal(resumed(feature, norm), margin(feature, norm))
    other = OFDMargin(2)
    other.load_state_dict(margin.state_dict())
    with pytest.raises(CheckpointError, match='those of another teacher'):
        other(feature, batch_norm([1.0, 3.0], [0.1, -0.2]))


def test_says_which_norm_does_not_fit():
    feature = torch.zeros(1, 2)
    with pytest.raises(ConfigError, match='batch norm with weight and bias'):
        OFDMargin(2)(feature, nn.BatchNorm2d(2, affine=False))
    with pytest.raises(ShapeError, match=r'channels=2, but `norm` has \(3,\)'):
        OFDMargin(2)(feature, nn.BatchNorm2d(3))
    with pytest.raises(ShapeError, match='`feature`'):
        OFDMargin(3)(feature, nn.BatchNorm2d(3))


# ---- adapter and loss ---------------------------------------------------------------


def test_the_adapter_begins_as_the_authors_do():
    torch.manual_seed(0)
    adapter = OFDAdapter(64, 128)
    assert adapter.conv.bias is None
    assert adapter.conv.weight.std().item() == pytest.approx(sqrt(2 / 128), rel=0.03)
    out = adapter(doubles(4, 64, 5, 6).float())
    # normalised, with weight 1 and bias 0
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(128), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        out.var((0, 2, 3), unbiased=False), torch.ones(128), atol=1e-3, rtol=0)


def test_the_adapter_takes_a_single_value_of_each_channel():
    adapter, feature = OFDAdapter(4, 6), torch.ones(1, 4, 1, 1)
    torch.testing.assert_close(adapter(feature), adapter.conv(feature))
    with pytest.raises(ShapeError, match='`feature`'):
        adapter(torch.ones(1, 3, 1, 1))


def test_nothing_pulls_on_a_student_below_what_is_negative():
    student = torch.tensor([-5.0, -1.0, 1.0]).requires_grad_()
    OFDLoss(reduction='sum')(student, torch.full((3,), -0.5)).backward()
    assert student.grad.tolist() == [0.0, 0.0, 3.0]


def test_a_teacher_below_its_margin_everywhere_asks_for_the_margin():
    # the loss is then 0 for a student that is lower, whatever the teacher is
    lifted = OFDMargin(3)(-10 - doubles(2, 3).abs().float(),
                          batch_norm([1.0] * 3, [0.0] * 3))
    margin = -sqrt(2 / pi)
    assert OFDLoss()(torch.full((2, 3), margin - 4), lifted) == 0
    assert OFDLoss()(torch.full((2, 3), margin + 2), lifted).item() == pytest.approx(12)


# ---- the slow twins, in plain loops from the equations ------------------------------


def slow_negative_mean(mean, deviation):
    """The integral as a sum over a fine grid, -3 deviations where it is too rare."""
    out = []
    for mu, sigma in zip(mean, deviation):
        step = sigma * 1e-3
        share = total = 0.0
        x = -step / 2
        while x > min(mu, 0.0) - 9 * sigma:
            weight = exp(-((x - mu) / sigma) ** 2 / 2)
            share, total, x = share + weight, total + weight * x, x - step
        rare = share * step / sigma / sqrt(2 * pi) <= 1e-3
        out.append(-3 * sigma if rare else total / share)
    return out


def test_margins_equal_their_twin():
    mean = [0.3, -0.7, 2.0, 5.0]
    deviation = [0.8, 0.4, 1.0, 1.2]
    found = negative_mean(*(torch.tensor(x, dtype=torch.float64)
                            for x in (mean, deviation)))
    assert found.tolist() == pytest.approx(slow_negative_mean(mean, deviation),
                                           rel=1e-5)


def slow_partial_squared_error(student, target):
    return [0.0 if s <= t <= 0 else (s - t) ** 2 for s, t in zip(student, target)]


def test_errors_equal_their_twin():
    student, target = doubles(200), doubles(200, seed=1)
    target[:3] = torch.tensor([0.0, -inf, 0.0]).double().clamp(min=-1)
    slow = slow_partial_squared_error(student.tolist(), target.tolist())
    torch.testing.assert_close(partial_squared_error(student, target),
                               torch.tensor(slow, dtype=torch.float64))
