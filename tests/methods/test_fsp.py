"""FSP: cases for the laws, the slow twin, bad input."""

from __future__ import annotations

import pytest
import torch
from slow_parts import doubles
from torch.nn.functional import adaptive_avg_pool2d

from mmkd_ext.distillers.alignment import plan_alignment
from mmkd_ext.errors import ShapeError
from mmkd_ext.methods import FSPLoss
from mmkd_ext.methods.fsp import flow_matrix
from mmkd_ext.testing.laws import KnownValue, LossCase, pyramid

TOGETHER = {'pyramids_sum_over_levels': 'each level is compared with the next'}
CASES = [
    LossCase(
        FSPLoss, inputs=pyramid((2, 2, 2, 3), (2, 3, 2, 3)), joint=True,
        free_axes=[2, 3], exempt=TOGETHER,
        invariances={'both levels negated': lambda x: -x,
                     'positions in another order': lambda x: x.flip(2, 3)},
        values=[
            KnownValue(([[[[1.0, 2.0]]]], [[[[3.0, 4.0]]]]),
                       ([[[[0.0, 1.0]]]], [[[[2.0, 2.0]]]]), 4.5**2,
                       '(3 + 8) / 2 against 2 / 2, by hand'),
            KnownValue(([[[[1.0]]]], [[[[2.0]]]], [[[[3.0]]]]),
                       ([[[[0.0]]]], [[[[0.0]]]], [[[[5.0]]]]), 2.0**2 + 6.0**2,
                       'two pairs of three levels: 1 * 2 and 2 * 3')],
    ),
    LossCase(
        FSPLoss, inputs=pyramid((2, 2, 4, 3), (2, 2, 2, 1), (2, 1, 1, 2)), joint=True,
        free_axes=[2, 3], name='sizes',
        exempt={**TOGETHER, 'reductions_agree': "`'none'` takes one pair"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(('begin', 'end', 'size'), [
    ((4, 6), (2, 3), (2, 3)), ((2, 3), (4, 6), (2, 3)), ((4, 3), (2, 6), (2, 3))])
def test_the_larger_map_is_averaged_along_each_side(begin, end, size):
    one, other = doubles(2, 3, *begin), doubles(2, 4, *end, seed=1)
    small = (adaptive_avg_pool2d(x, size) for x in (one, other))
    torch.testing.assert_close(flow_matrix(one, other), flow_matrix(*small))


def test_student_and_teacher_may_have_other_sizes():
    student = doubles(2, 3, 4, 4), doubles(2, 5, 2, 2)
    teacher = [x.repeat_interleave(2, 2).repeat_interleave(2, 3) for x in student]
    # a map of every value four times has the same means
    assert FSPLoss()(student, teacher).item() == pytest.approx(0, abs=1e-24)
    assert plan_alignment(FSPLoss(), student, teacher, classes=False) is None


def test_channels_that_differ_are_aligned_for_each_level():
    student = torch.zeros(2, 3, 4, 4), torch.zeros(2, 5, 2, 2)
    teacher = torch.zeros(2, 6, 8, 8), torch.zeros(2, 5, 4, 4)
    plan = plan_alignment(FSPLoss(), student, teacher, classes=False)
    assert plan.channels == ((3, 6), None)
    aligned = plan(student, teacher)
    # by convolutions alone
    assert [tuple(x.shape) for x in aligned] == [(2, 6, 4, 4), (2, 5, 2, 2)]
    assert FSPLoss()(aligned, teacher).isfinite()


@pytest.mark.parametrize('one', [torch.ones(2, 3, 4, 4), (torch.ones(2, 3, 4, 4),)])
def test_a_single_layer_leads_nowhere(one):
    with pytest.raises(ShapeError, match='takes a pyramid of two levels or more'):
        FSPLoss()(one, one)


def test_a_batch_of_one_and_maps_of_one_position_work():
    # (2 - 12)**2 for each of 3 x 4 products of channels
    student = torch.ones(1, 3, 1, 1), torch.full((1, 4, 1, 1), 2.0)
    teacher = torch.full((1, 3, 1, 1), 3.0), torch.full((1, 4, 1, 1), 4.0)
    assert FSPLoss()(student, teacher) == 100


def test_refuses_vectors():
    with pytest.raises(ShapeError, match='`student` has shape'):
        FSPLoss()((torch.ones(2, 3),) * 2, (torch.ones(2, 3),) * 2)


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_flow_matrix(begin, end):
    """Of one sample, ``[c][h][w]`` and ``[d][h][w]`` of one size."""
    height, width = len(begin[0]), len(begin[0][0])
    return [[sum(one[y][x] * other[y][x] for y in range(height) for x in range(width))
             / (height * width) for other in end] for one in begin]


@pytest.mark.parametrize('shape', [(1, 1), (2, 3)])
def test_equals_its_twin(shape):
    begin, end = doubles(2, 3, *shape), doubles(2, 4, *shape, seed=1)
    slow = [slow_flow_matrix(*sample) for sample in zip(begin.tolist(), end.tolist())]
    torch.testing.assert_close(flow_matrix(begin, end),
                               torch.tensor(slow, dtype=torch.float64))
