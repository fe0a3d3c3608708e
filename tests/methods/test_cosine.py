"""Cosine: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from slow_parts import two_sides

from mmkd_ext.methods import FeatureCosineLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

CASES = [
    LossCase(
        FeatureCosineLoss, inputs=pair(2, 3, 4, 5),
        invariances={'a positive factor': lambda student: 3 * student},
        values=[
            # cosines 4/5 and 0: means over positions
            KnownValue([[[[3.0, 1]], [[4.0, 0]]]], [[[[0.0, 0]], [[2.0, 5]]]], 0.6,
                       'by hand'),
            KnownValue([[1.0, 1.0]], [[1.0, 0.0]], 1 - sqrt(0.5), 'of vectors'),
            KnownValue([[[1.0, 1.0]]], [[[1.0, 0.0]]], 1 - sqrt(0.5), 'of tokens')])]


def slow_cosine_distance(student, teacher):
    """Position by position."""
    n, _, h, w = student.shape
    total = 0.0
    for i in range(n):
        for y in range(h):
            for x in range(w):
                s, t = student[i, :, y, x].tolist(), teacher[i, :, y, x].tolist()
                dot = sum(a * b for a, b in zip(s, t))
                total += 1 - dot / sqrt(sum(a * a for a in s) * sum(b * b for b in t))
    return total / (n * h * w)


def test_is_that_of_plain_loops():
    student, teacher = two_sides(2, 3, 2, 4)
    found = FeatureCosineLoss()(student, teacher)
    assert float(found) == pytest.approx(slow_cosine_distance(student, teacher))


def test_a_feature_of_zero_has_no_direction_and_no_gradient():
    student = torch.zeros(1, 2, 1, 1, requires_grad=True)
    value = FeatureCosineLoss()(student, torch.ones(1, 2, 1, 1))
    value.backward()
    assert float(value) == pytest.approx(0.5)
    assert not student.grad.any()
