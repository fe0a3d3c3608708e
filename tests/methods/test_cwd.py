"""CWD: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from math import log

import pytest
import torch
from slow_parts import kl, softened

from mmkd_ext.methods import CWDLoss
from mmkd_ext.methods.cwd import channel_divergence
from mmkd_ext.testing.laws import KnownValue, LossCase, pyramid


def per_channel_constant(x):
    n, c = x.shape[:2]
    return x + torch.linspace(-3, 3, n * c, dtype=x.dtype).reshape(n, c, 1, 1)


# By hand. Both channels of the teacher put 3/4 of their mass on the first of two
# positions, the student's put 1/2 there. Every pixel has equal classes, so a softmax
# over classes would see no difference at all.
KL = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
SKEWED = [[[[log(3), 0.0]], [[log(3), 0.0]]]]
FLAT = [[[[0.0, 0.0]], [[0.0, 0.0]]]]
CASES = [
    LossCase(
        CWDLoss, temperature='tau',
        invariances={'a constant added to each channel': per_channel_constant},
        values=[
            KnownValue(FLAT, SKEWED, KL, 'KL(3/4 || 1/2) by hand, mean of two'),
            KnownValue(
                FLAT, [[SKEWED[0][0], FLAT[0][0]]], KL / 2,
                'one of two channels differs')]),
    LossCase(
        CWDLoss, {'tau': 4.0}, inputs=pyramid((2, 3, 2, 4), (2, 3, 2, 2)),
        values=[
            KnownValue(
                FLAT, [[[[4 * log(3), 0.0]], [[4 * log(3), 0.0]]]], 16 * KL,
                'the teacher at tau=4 is as skewed, and tau**2 keeps the gradient')])]


def test_one_pixel_carries_no_information():
    assert CWDLoss(tau=4.0)(torch.randn(2, 3, 1, 1), torch.randn(2, 3, 1, 1)) == 0


def slow_channel_divergence(student, teacher, tau):
    """CWD, Eq. (2) to (4) without the mean over channels: ``[n][c]``."""
    return [[tau**2 * kl(softened([v for row in teacher[n][c] for v in row], tau),
                         softened([v for row in student[n][c] for v in row], tau))
             for c in range(len(student[n]))]
            for n in range(len(student))]


@pytest.mark.parametrize('frozen', [True, False])
@pytest.mark.parametrize(('shape', 'tau'), [((2, 3, 4, 5), 4.0), ((1, 5, 3, 1), 0.5)])
def test_equals_its_twin(shape, tau, frozen):
    student, teacher = 3 * torch.randn(2, *shape, dtype=torch.float64)
    slow = slow_channel_divergence(student.tolist(), teacher.tolist(), tau)
    teacher.requires_grad_(not frozen)  # the two are computed differently
    fast = channel_divergence(student, teacher, tau=tau).detach()
    torch.testing.assert_close(fast, torch.tensor(slow, dtype=torch.float64))
