"""What the decoupled divergence promises: identity, closed forms, edges, messages."""

from __future__ import annotations

from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import class_divergence, decoupled_divergence

CALM = settings(derandomize=True, deadline=None, max_examples=40, database=None)
TAUS = st.sampled_from([0.25, 1.0, 2.0, 4.0, 20.0])
SEEDS = st.integers(0, 2**31)
SHAPES = st.tuples(st.integers(1, 5), st.integers(2, 7))


def noise(shape, seed=0, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    sides = [spread * torch.randn(shape, generator=generator, dtype=torch.float64)
             for _ in range(2)]
    return *sides, torch.randint(shape[1], (shape[0],), generator=generator)


# ---- properties ---------------------------------------------------------------------


@CALM
@given(SHAPES, SEEDS, TAUS)
def test_the_whole_divergence_is_target_plus_other_times_what_is_left(shape, seed, tau):
    # KL = TCKD + (1 - p_t) NCKD, Eq. (5) of the paper
    student, teacher, labels = noise(shape, seed)
    target, other = decoupled_divergence(student, teacher, labels, tau=tau)
    sure = (teacher / tau).softmax(1).gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(
        target + (1 - sure) * other, class_divergence(student, teacher, tau=tau),
        rtol=1e-9, atol=1e-12 * tau**2)


@CALM
@given(SHAPES, SEEDS, TAUS)
def test_both_parts_are_zero_at_equality_and_never_negative(shape, seed, tau):
    student, teacher, labels = noise(shape, seed)
    for part in decoupled_divergence(student, student.clone(), labels, tau=tau):
        assert part.abs().max() <= 1e-13 * tau**2
    for part in decoupled_divergence(student, teacher, labels, tau=tau):
        assert part.min() >= -1e-13 * tau**2


@CALM
@given(SEEDS, TAUS, st.floats(-30, 30))
def test_the_others_do_not_see_the_score_of_the_target(seed, tau, shift):
    student, teacher, labels = noise((3, 5), seed)
    moved = student.scatter_add(
        1, labels[:, None], torch.full((3, 1), shift, dtype=torch.float64))
    before = decoupled_divergence(student, teacher, labels, tau=tau)[1]
    after = decoupled_divergence(moved, teacher, labels, tau=tau)[1]
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-12 * tau**2)


@CALM
@given(SEEDS)
def test_the_target_does_not_see_the_order_of_the_others(seed):
    student, teacher, _ = noise((3, 5), seed)
    labels = torch.zeros(3, dtype=torch.long)
    turned = student[:, [0, 4, 2, 1, 3]]
    torch.testing.assert_close(
        decoupled_divergence(turned, teacher, labels)[0],
        decoupled_divergence(student, teacher, labels)[0])


# ---- closed forms -------------------------------------------------------------------


def test_a_case_by_hand():
    # teacher (1/2, 1/4, 1/4), student (1/4, 1/2, 1/4), target the first class
    teacher = torch.tensor([[log(2), 0, 0]], dtype=torch.float64)
    student = torch.tensor([[0, log(2), 0]], dtype=torch.float64)
    target, other = decoupled_divergence(student, teacher, torch.tensor([0]))
    assert target.item() == pytest.approx(0.5 * log(2) + 0.5 * log(2 / 3))
    # the others: teacher (1/2, 1/2), student (2/3, 1/3)
    assert other.item() == pytest.approx(0.5 * log(3 / 4) + 0.5 * log(3 / 2))


def test_of_two_classes_nothing_is_left_beside_the_target():
    student, teacher, labels = noise((4, 2))
    target, other = decoupled_divergence(student, teacher, labels)
    assert not other.any()
    torch.testing.assert_close(target, class_divergence(student, teacher))


# ---- gradients and edges ------------------------------------------------------------


@pytest.mark.parametrize('tau', [0.5, 1.0, 4.0])
def test_gradient_is_right(tau):
    student, teacher, labels = noise((3, 4))
    assert torch.autograd.gradcheck(
        lambda s, t: torch.stack(decoupled_divergence(s, t, labels, tau=tau)),
        (student.requires_grad_(), teacher.requires_grad_()))


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16])
def test_extreme_logits_stay_finite_with_their_gradient(dtype):
    # the authors' log(softmax) is minus infinity here, their offset of 1000 too small
    student = torch.tensor([[1e4, 0, 0], [0, 1e4, -1e4]], dtype=dtype).requires_grad_()
    teacher = torch.tensor([[0, 1e4, -1e4], [1e4, 0, 0]], dtype=dtype)
    target, other = decoupled_divergence(student, teacher, torch.tensor([0, 0]))
    (target + other).sum().backward()
    assert target.isfinite().all()
    assert other.isfinite().all()
    assert student.grad.isfinite().all()


def test_a_sure_student_of_a_sure_but_other_teacher_differs_by_the_distance():
    student, teacher = torch.tensor([[1e4, 0.0, 0.0]]), torch.tensor([[0.0, 1e4, 0.0]])
    target, _ = decoupled_divergence(student, teacher, torch.tensor([0]))
    # the teacher gives the target nothing, and the student the rest 2 exp(-10000)
    assert target.item() == pytest.approx(1e4 - log(2))


def test_no_rows_have_no_items():
    empty = torch.zeros(0, 3, requires_grad=True)
    parts = decoupled_divergence(empty, torch.zeros(0, 3), torch.zeros(0).long())
    assert [tuple(part.shape) for part in parts] == [(0,), (0,)]
    sum(parts).sum().backward()
    assert empty.grad.shape == (0, 3)


def test_inputs_are_left_as_they_were():
    student, teacher, labels = noise((3, 4))
    before = student.clone(), teacher.clone()
    decoupled_divergence(student, teacher, labels)
    assert torch.equal(student, before[0])
    assert torch.equal(teacher, before[1])


# ---- messages -----------------------------------------------------------------------


def test_names_the_axis_that_differs():
    labels = torch.zeros(2).long()
    with pytest.raises(ShapeError, match='Axis `c` differs: `teacher`'):
        decoupled_divergence(torch.zeros(2, 3), torch.zeros(2, 4), labels)
    with pytest.raises(ShapeError, match='Axis `n` differs: `labels`'):
        decoupled_divergence(torch.zeros(2, 3), torch.zeros(2, 3), labels[:1])


def test_one_class_has_no_other():
    with pytest.raises(ShapeError, match='there must be another one'):
        decoupled_divergence(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2).int())


@pytest.mark.parametrize('labels', [torch.zeros(2), torch.zeros(2, dtype=torch.bool)])
def test_soft_labels_have_no_target(labels):
    with pytest.raises(ShapeError, match='must be indices of classes'):
        decoupled_divergence(torch.zeros(2, 3), torch.zeros(2, 3), labels)


@pytest.mark.parametrize('tau', [0, -2.0, float('nan'), None])
def test_refuses_a_temperature_that_is_not_positive(tau):
    with pytest.raises(ConfigError, match='`tau` must be a number > 0, but is'):
        decoupled_divergence(
            torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2).long(), tau=tau)
