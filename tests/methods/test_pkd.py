"""PKD: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import CALM, SEEDS, mean_square, two_sides

from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import PKDLoss
from mmkd_ext.methods.pkd import correlation_distance
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
        PKDLoss, invariances={'a constant added to each channel': per_channel_constant},
        values=[
            KnownValue(two(0.0, 1.0), two(2.0, 0.0), TURNED, 'two values turned round'),
            KnownValue(two(5.0, 6.0), two(0.0, 2.0), NEAR_ZERO, 'scaled and shifted'),
            KnownValue(
                two(3.0, 3.0), two(0.0, 2.0), halved(2.0) ** 2 / 2,
                'a constant channel is standardised to 0'),
            KnownValue(two(0.0, 3.0), two(0.0, 3.0), 0.0, 'equal'),
            KnownValue(
                [[[[0.0, 1.0]], [[0.0, 1.0]]]], [[[[2.0, 0.0]], [[0.0, 2.0]]]],
                (TURNED + NEAR_ZERO) / 2, 'mean of two channels')]),
    LossCase(PKDLoss, {'eps': 0.1}, inputs=pyramid((2, 3, 2, 4), (2, 3, 3, 3))),
    LossCase(PKDLoss, inputs=pair(3, 2, 3, 3), name='odd')]


def test_refuses_an_eps_that_is_not_positive():
    with pytest.raises(ConfigError, match='`eps`'):
        PKDLoss(eps=0)


SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 5),
                   st.integers(1, 4))


@CALM
@given(SHAPES, SEEDS)
def test_is_one_minus_the_correlation_up_to_the_unbiased_deviation(shape, seed):
    student, teacher = two_sides(*shape, seed=seed)
    rows = [x.transpose(0, 1).flatten(1) for x in (student, teacher)]
    m = rows[0].shape[1]
    wanted = [(m - 1) / m * (1 - torch.corrcoef(torch.stack([s, t]))[0, 1])
              for s, t in zip(*rows)]
    found = correlation_distance(student, teacher, eps=1e-12).mean(0)
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize('frozen', [True, False])
def test_one_value_for_a_channel_has_no_distance_and_no_gradient(frozen):
    student, teacher = two_sides(1, 3, 1, 1)
    teacher.requires_grad_(not frozen)
    found = correlation_distance(student.requires_grad_(), teacher)
    assert found.tolist() == [[0, 0, 0]]
    found.sum().backward()
    assert not student.grad.any()


@pytest.mark.parametrize(('side', 'frozen'), [
    ('student', True), ('teacher', False), ('both', True), ('both', False)])
def test_a_constant_channel_is_finite_with_its_gradient(side, frozen):
    student, teacher = two_sides(2, 2, 3, 3)
    if side != 'teacher':
        student[:, 0] = 3.0
    if side != 'student':
        teacher[:, 0] = -1.0
    teacher.requires_grad_(not frozen)
    found = correlation_distance(student.requires_grad_(), teacher)
    found.sum().backward()
    assert found.isfinite().all()
    assert student.grad.isfinite().all()
    # against a channel that is 0 after standardising: half of (m - 1) / m
    wanted = 0.0 if side == 'both' else 17 / 36
    assert found[:, 0].mean().item() == pytest.approx(wanted, rel=1e-5)


def test_keeps_nothing_of_the_size_of_a_map_but_the_sides():
    student, teacher = two_sides(2, 3, 16, 16)
    kept = []

    def note(x):
        kept.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        correlation_distance(student.requires_grad_(), teacher)
    large = [x for x in kept if x.numel() > student.numel() // 2]
    pointers = {x.data_ptr() for x in large}
    assert pointers == {student.data_ptr(), teacher.data_ptr()}


def numbers_of(channel, maps):
    """All values of a channel, over the batch."""
    return [v for image in maps for row in image[channel] for v in row]


def standardised(maps, eps):
    """PKD: each channel to mean 0 and unbiased standard deviation 1 over the batch."""
    scaled = [[None] * len(maps[0]) for _ in maps]
    for c in range(len(maps[0])):
        values = numbers_of(c, maps)
        mean = sum(values) / len(values)
        squares = sum((v - mean) ** 2 for v in values)
        deviation = sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0
        for n in range(len(maps)):
            scaled[n][c] = [[(v - mean) / (deviation + eps) for v in row]
                            for row in maps[n][c]]
    return scaled


def slow_correlation_distance(student, teacher, eps):
    """PKD: half the mean squared difference of the standardised maps, ``[n][c]``."""
    student, teacher = standardised(student, eps), standardised(teacher, eps)
    return [[mean_square(s, t) / 2 for s, t in zip(*images)]
            for images in zip(student, teacher)]


@pytest.mark.parametrize('frozen', [True, False])
@pytest.mark.parametrize(('shape', 'eps'), [((2, 3, 4, 5), 0.5), ((1, 5, 3, 1), 1e-6)])
def test_equals_its_twin(shape, eps, frozen):
    student, teacher = two_sides(*shape)
    slow = slow_correlation_distance(student.tolist(), teacher.tolist(), eps)
    teacher.requires_grad_(not frozen)  # the two are computed differently
    fast = correlation_distance(student, teacher, eps=eps).detach()
    torch.testing.assert_close(fast, torch.tensor(slow, dtype=torch.float64))
