"""AT: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from slow_parts import doubles

from mmkd_ext.errors import ConfigError
from mmkd_ext.methods.at import ATLoss, attention_distance
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

STUDENT = [[[[4.0, -3.0]]]]
TEACHER = [[[[1.0, 0.0]], [[0.0, 0.0]]]]

CASES = [
    LossCase(
        ATLoss, inputs=pair(2, 3, 4, 5, teacher=(2, 4, 4, 5)), free_axes=[1],
        invariances={
            'a factor': lambda x: -3 * x,
            'channels in another order': lambda x: x.flip(1)},
        values=[
            KnownValue(
                STUDENT, TEACHER, 1 - 16 / 337**0.5,
                '(16, 9) / sqrt(337) against (1, 0) by hand: '
                '2 (1 - cos) of two unit vectors, halved by the mean')]),
    LossCase(
        ATLoss, {'p': 1.0}, inputs=pyramid((2, 3, 4, 4), (2, 3, 2, 2)), free_axes=[1],
        values=[KnownValue(STUDENT, STUDENT, 0.0, 'equal')])]


def test_attention_at_different_places_has_no_overlap():
    # by hand: unit vectors (1, 0) and (0, 1)
    student = torch.tensor([2.0, 0.0]).reshape(1, 1, 1, 2)
    teacher = torch.tensor([[0.0, 5.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    assert attention_distance(student, teacher).tolist() == [[[1.0, 1.0]]]


@pytest.mark.parametrize(('p', 'scale'), [(1.0, 0.0), (2.0, 1e-30), (4.0, 1e30)])
def test_extreme_features_stay_finite_with_their_gradient(p, scale):
    student = (scale * doubles(1, 3, 2, 3).float()).requires_grad_()
    value = attention_distance(student, doubles(1, 3, 2, 3, seed=1).float(), p=p)
    value.sum().backward()
    assert value.isfinite().all()
    assert student.grad.isfinite().all()


def test_refuses_a_power_below_one():
    with pytest.raises(ConfigError, match='`p`'):
        ATLoss(p=0.5)


def slow_attention_distance(student, teacher, p):
    def attention(image):
        height, width = len(image[0]), len(image[0][0])
        sums = [[sum(abs(channel[y][x])**p for channel in image) for x in range(width)]
                for y in range(height)]
        length = sqrt(sum(value**2 for row in sums for value in row))
        return [[value / length if length else 0.0 for value in row] for row in sums]

    return [[[(a - b)**2 for a, b in zip(*rows)]
             for rows in zip(attention(s), attention(t))]
            for s, t in zip(student, teacher)]


@pytest.mark.parametrize(('p', 'shape'), [
    (1.0, (2, 3, 4, 5)), (2.0, (1, 1, 1, 1)), (3.0, (1, 7, 3, 1))])
def test_equals_its_twin(p, shape):
    n, c, h, w = shape
    student, teacher = doubles(*shape), doubles(n, c + 2, h, w, seed=1)
    student[0, :, 0, 0] = 0
    slow = slow_attention_distance(student.tolist(), teacher.tolist(), p)
    torch.testing.assert_close(attention_distance(student, teacher, p=p),
                               torch.tensor(slow, dtype=torch.float64))
