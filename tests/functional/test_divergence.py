"""The divergences: closed forms, gradients, edges, the slow twin."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import CALM, SEEDS, kl, softened, two_sides

from mmkd_ext.errors import ConfigError
from mmkd_ext.functional import class_divergence
from mmkd_ext.methods.cwd import channel_divergence

BOTH = pytest.mark.parametrize('divergence', [channel_divergence, class_divergence])
TAUS = st.sampled_from([0.25, 1.0, 2.0, 4.0, 20.0])
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4),
                   st.integers(1, 4))


def two_way(student_margin, teacher_margin, tau):
    """KL of two outcomes whose scores differ by a margin, by hand."""
    p = 1 / (1 + exp(-teacher_margin / tau))
    q = 1 / (1 + exp(-student_margin / tau))
    return tau**2 * (p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)))


MARGINS = st.floats(-6, 6)


@CALM
@given(MARGINS, MARGINS, TAUS, st.floats(-50, 50))
def test_two_classes_have_the_closed_form(student_margin, teacher_margin, tau, offset):
    student = torch.tensor([[student_margin + offset, offset]], dtype=torch.float64)
    teacher = torch.tensor([[teacher_margin, 0.0]], dtype=torch.float64)
    found = class_divergence(student, teacher, tau=tau).item()
    wanted = two_way(student_margin, teacher_margin, tau)
    assert found == pytest.approx(wanted, rel=1e-8, abs=1e-11 * tau**2)


@CALM
@given(MARGINS, MARGINS, TAUS)
def test_two_pixels_have_the_closed_form(student_margin, teacher_margin, tau):
    student = torch.tensor([student_margin, 0.0], dtype=torch.float64).view(1, 1, 1, 2)
    teacher = torch.tensor([teacher_margin, 0.0], dtype=torch.float64).view(1, 1, 2, 1)
    found = channel_divergence(student, teacher.transpose(2, 3), tau=tau).item()
    wanted = two_way(student_margin, teacher_margin, tau)
    assert found == pytest.approx(wanted, rel=1e-8, abs=1e-11 * tau**2)


@pytest.mark.parametrize('shape', [(1, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize('frozen', [True, False])
def test_one_channel_is_the_score_of_yes_against_no(shape, frozen):
    # sigmoid(0) = 1/2 and sigmoid(ln 3) = 3/4, by hand
    student = torch.zeros(shape, dtype=torch.float64)
    teacher = torch.full(shape, log(3), dtype=torch.float64)
    found = class_divergence(student, teacher.requires_grad_(not frozen))
    assert found.item() == pytest.approx(0.75 * log(1.5) + 0.25 * log(0.5), rel=1e-12)
    assert found.item() == pytest.approx(0.1308, abs=5e-5)


def test_agrees_with_the_kl_of_torch_distributions():
    student, teacher = two_sides(2, 5, 3, 4)

    def distribution(x):
        return torch.distributions.Categorical(logits=x)

    torch.testing.assert_close(
        channel_divergence(student, teacher),
        torch.distributions.kl_divergence(distribution(teacher.flatten(2)),
                                          distribution(student.flatten(2))))
    torch.testing.assert_close(
        class_divergence(student, teacher),
        torch.distributions.kl_divergence(distribution(teacher.movedim(1, -1)),
                                          distribution(student.movedim(1, -1))))


@BOTH
@CALM
@given(SHAPES, SEEDS, TAUS)
def test_is_zero_at_equality_and_never_negative(divergence, shape, seed, tau):
    student, teacher = two_sides(*shape, seed=seed)
    assert divergence(student, student.clone(), tau=tau).abs().max() == 0
    assert divergence(student, teacher, tau=tau).min() >= -1e-13 * tau**2


@BOTH
@pytest.mark.parametrize(('tau', 'frozen'), [(0.5, True), (4.0, False)])
def test_gradient_is_right(divergence, tau, frozen):
    student, teacher = two_sides(2, 3, 2, 3)
    student.requires_grad_()
    teacher.requires_grad_(not frozen)
    assert torch.autograd.gradcheck(
        lambda s, t: divergence(s, t, tau=tau), (student, teacher))


@BOTH
@pytest.mark.parametrize(('tau', 'dtype'), [(1.0, torch.float64), (4.0, torch.float32)])
def test_a_frozen_teacher_gives_the_value_and_gradient_of_a_learning_one(
        divergence, tau, dtype):
    sides = [x.to(dtype) for x in two_sides(2, 5, 3, 4)]
    weights = torch.rand(divergence(*sides).shape, dtype=dtype)
    results = []
    for frozen in (True, False):
        student, teacher = (x.clone() for x in sides)
        student.requires_grad_()
        teacher.requires_grad_(not frozen)
        value = divergence(student, teacher, tau=tau)
        (weights * value).sum().backward()
        results.append((value.detach(), student.grad))
    torch.testing.assert_close(results[0], results[1])


@BOTH
@pytest.mark.parametrize(
    ('dtype', 'frozen'), [(torch.float32, False), (torch.float16, True)])
def test_extreme_logits_stay_finite_with_their_gradient(divergence, dtype, frozen):
    # softmax().log() would meet log 0 here
    student, teacher = two_sides(1, 2, 2, 2)
    student = (1e4 * student.sign()).to(dtype).requires_grad_()
    teacher = (1e4 * teacher.sign()).to(dtype).requires_grad_(not frozen)
    value = divergence(student, teacher, tau=1.0)
    value.sum().backward()
    assert value.isfinite().all()
    assert student.grad.isfinite().all()


@BOTH
@pytest.mark.parametrize(('dtype', 'tolerance'), [
    (torch.float16, 5e-3), (torch.bfloat16, 5e-2)])  # some roundings of 2**-11, 2**-8
def test_halves_are_computed_as_halves(divergence, dtype, tolerance):
    student, teacher = (x.to(dtype) for x in two_sides(2, 3, 2, 2, spread=1.0))
    found = divergence(student, teacher, tau=2.0)
    assert found.dtype == dtype
    torch.testing.assert_close(
        found.double(), divergence(student.double(), teacher.double(), tau=2.0),
        rtol=tolerance, atol=4 * tolerance)


@BOTH
@pytest.mark.parametrize('tau', [0, -2.0, float('nan'), None, '1'])
def test_refuses_a_temperature_that_is_not_positive(divergence, tau):
    with pytest.raises(ConfigError, match='`tau`'):
        divergence(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2), tau=tau)


def classes(values, tau):
    """Returns the distribution of classes; of a single score, of yes and no."""
    if len(values) == 1:
        yes = 1 / (1 + exp(-values[0] / tau))
        return [yes, 1 - yes]
    return softened(values, tau)


def slow_class_divergence(student, teacher, tau):
    """KD of each pixel, ``[n][h][w]``."""
    height, width = len(student[0][0]), len(student[0][0][0])
    return [[[tau**2 * kl(classes([channel[y][x] for channel in teacher[n]], tau),
                          classes([channel[y][x] for channel in student[n]], tau))
              for x in range(width)]
             for y in range(height)]
            for n in range(len(student))]


def slow_class_divergence_of_samples(student, teacher, tau):
    """KD of each sample, ``[n]``."""
    return [tau**2 * kl(classes(t, tau), classes(s, tau))
            for s, t in zip(student, teacher)]


@pytest.mark.parametrize('frozen', [True, False])
@pytest.mark.parametrize(('shape', 'tau'), [
    ((2, 3, 4, 5), 4.0), ((3, 1, 2, 6), 0.5), ((4, 3), 1), ((1, 1), 4.0)])
def test_class_divergence_equals_its_twin(shape, tau, frozen):
    student, teacher = two_sides(*shape, spread=3.0)
    slow = (slow_class_divergence if len(shape) == 4
            else slow_class_divergence_of_samples)
    wanted = slow(student.tolist(), teacher.tolist(), tau)
    teacher.requires_grad_(not frozen)  # the two are computed differently
    fast = class_divergence(student, teacher, tau=tau).detach()
    torch.testing.assert_close(fast, torch.tensor(wanted, dtype=torch.float64))
