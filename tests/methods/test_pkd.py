"""PKD: cases for the laws, and what is special to the class."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import PKDLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid


def per_channel_constant(x):
    return x + torch.linspace(-3, 3, x.shape[1], dtype=x.dtype).reshape(1, -1, 1, 1)


def two(low, high):
    return [[[[low, high]]]]


def halved(width, eps=1e-6):
    """Of two values a width apart, standardised, the distance to their mean."""
    return width / 2 / (width / sqrt(2) + eps)


# By hand: two values a width apart have standard deviation width / sqrt(2), so they
# become plus and minus 1 / sqrt(2) but for eps. Turned round, the differences are
# sqrt(2), their squares 2, half of these 1: that is 2 (m - 1) / m with m = 2.
TURNED = (halved(1.0) + halved(2.0)) ** 2 / 2
NEAR_ZERO = (halved(1.0) - halved(2.0)) ** 2 / 2

CASES = [
    LossCase(
        PKDLoss,
        invariances={'a constant added to each channel': per_channel_constant},
        values=[
            KnownValue(two(0.0, 1.0), two(2.0, 0.0), TURNED, 'two values turned round'),
            KnownValue(two(5.0, 6.0), two(0.0, 2.0), NEAR_ZERO, 'scaled and shifted'),
            KnownValue(two(3.0, 3.0), two(0.0, 2.0), halved(2.0) ** 2 / 2,
                       'a constant channel is standardised to 0'),
            KnownValue(two(0.0, 3.0), two(0.0, 3.0), 0.0, 'equal'),
            KnownValue([[[[0.0, 1.0]], [[0.0, 1.0]]]], [[[[2.0, 0.0]], [[0.0, 2.0]]]],
                       (TURNED + NEAR_ZERO) / 2, 'mean of two channels'),
        ],
    ),
    LossCase(PKDLoss, {'eps': 0.1}, inputs=pyramid((2, 3, 2, 4), (2, 3, 3, 3))),
    LossCase(PKDLoss, inputs=pair(3, 2, 3, 3), name='odd'),
]


@pytest.mark.parametrize('shape', [(1, 4, 5, 7), (3, 2, 1, 8), (2, 1, 13, 4)])
def test_is_one_minus_the_mean_correlation_but_for_the_unbiased_deviation(shape):
    student, teacher = torch.randn(2, *shape, dtype=torch.float64)
    m = shape[0] * shape[2] * shape[3]
    rows = [x.transpose(0, 1).flatten(1) for x in (student, teacher)]
    r = torch.stack([torch.corrcoef(torch.stack(both))[0, 1] for both in zip(*rows)])
    wanted = (m - 1) / m * (1 - r.mean())
    found = PKDLoss()(student, teacher)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_level_of_one_value_a_channel_gives_zero_and_no_nan():
    # P7 of one small image
    student = torch.randn(1, 8, 1, 1, requires_grad=True)
    loss = PKDLoss()(student, torch.randn(1, 8, 1, 1))
    loss.backward()
    assert loss == 0
    assert not student.grad.any()


def test_two_images_of_one_value_are_compared():
    student = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    assert PKDLoss()(student, -student) == pytest.approx(1.0, rel=1e-5)


def test_a_batch_is_not_the_mean_of_its_images():
    student, teacher = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    student[1] += 100
    alone = [PKDLoss()(student[i:i + 1], teacher[i:i + 1]) for i in (0, 1)]
    assert abs(PKDLoss()(student, teacher) - sum(alone) / 2) > 0.01


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_statistics_of_half_features_are_float32(dtype):
    # 300 squared is beyond float16, and 4096 of them can be summed in neither
    teacher = (300 + 10 * torch.randn(2, 3, 64, 64)).to(dtype)
    student = (2 * teacher.float() + torch.randn(teacher.shape)).to(dtype)
    student.requires_grad_()
    loss = PKDLoss()(student, teacher)
    loss.backward()
    assert loss.dtype == torch.float32
    assert 0 < loss < 0.2
    assert student.grad.isfinite().all()
    torch.testing.assert_close(
        loss, PKDLoss()(student.detach().double(), teacher.double()).float(),
        rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('shape', [(2, 3, 4, 5), (2, 3, 5, 4), (2, 3, 8, 8)])
def test_another_height_or_width_is_refused(shape):
    with pytest.raises(ShapeError, match=r'Axis `[hw]` differs'):
        PKDLoss()(torch.randn(2, 3, 4, 4), torch.randn(shape))


def test_fewer_levels_are_refused_which_a_zip_would_forget():
    maps = tuple(torch.randn(1, 2, s, s) for s in (8, 4, 2))
    with pytest.raises(ShapeError, match='both need the same number of levels'):
        PKDLoss()(maps, maps[:2])


@pytest.mark.parametrize('eps', [0, -1.0, float('nan'), '1'])
def test_refuses_an_eps_that_is_not_positive(eps):
    with pytest.raises(ConfigError, match='`eps` must be a number > 0, but is'):
        PKDLoss(eps=eps)


def test_may_align_channels_and_size():
    assert PKDLoss.alignable == {'channels', 'size'}


def test_takes_nothing_but_the_two_sides():
    assert PKDLoss.arguments() == {'preds_S': True, 'preds_T': True}
