"""KD: cases for the laws, and what is special to the class."""

from __future__ import annotations

from math import log

import torch

from mmkd_ext.methods import KDLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair


def per_sample_constant(x):
    # one value for each position, the same for all classes
    shape = (x.shape[0], 1, *x.shape[2:])
    count = x[:, :1].numel()
    return x + torch.linspace(-3, 3, count, dtype=x.dtype).reshape(shape)


# By hand. Each of two pixels has classes with 3/4 and 1/4 for the teacher, 1/2 and 1/2
# for the student. Each channel is flat, so a softmax over positions would see nothing.
KL = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
SKEWED = [[[[log(3), log(3)]], [[0.0, 0.0]]]]
FLAT = [[[[0.0, 0.0]], [[0.0, 0.0]]]]
CASES = [
    LossCase(
        KDLoss, temperature='tau',
        invariances={'a constant added to each pixel': per_sample_constant},
        values=[
            KnownValue(FLAT, SKEWED, KL, 'KL(3/4 || 1/2) by hand, mean of two'),
            KnownValue(
                FLAT, [[[[log(3), 0.0]], [[0.0, 0.0]]]], KL / 2,
                'one of two pixels differs')]),
    LossCase(
        KDLoss, {'tau': 4.0}, inputs=pair(3, 5),
        invariances={'a constant added to each sample': per_sample_constant},
        values=[
            KnownValue(
                [[0.0, 0.0]], [[4 * log(3), 0.0]], 16 * KL,
                'the teacher at tau=4 is as skewed; times tau**2')]),
    LossCase(
        KDLoss, inputs=pair(2, 1, 3, 4), temperature='tau',
        values=[
            KnownValue(
                [[[[0.0, 0.0]]]], [[[[log(3), 0.0]]]], KL / 2,
                'sigmoids 1/2 and 3/4 at one of two pixels')],
        name='one channel')]


def test_rows_of_a_detector_count_where_their_label_is_a_column():
    # a sigmoid head: label 5 of 5 columns is the background
    student, teacher = torch.randn(2, 4, 5, dtype=torch.float64)
    labels = torch.tensor([1, 5, 3, 5])
    torch.testing.assert_close(
        KDLoss(tau=2.0)(student, teacher, labels=labels),
        KDLoss(tau=2.0)(student[::2], teacher[::2]))


def test_rows_of_a_detector_count_where_their_weight_is_above_zero():
    student, teacher = torch.randn(2, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(
        KDLoss()(student, teacher, label_weights=torch.tensor([2.0, 0, 0.5])),
        KDLoss()(student[::2], teacher[::2]))


def test_the_mean_over_positives_is_the_one_of_ld_times_the_classes():
    # LD: mean over classes, sum over positives, divided by their number
    student, teacher = torch.randn(2, 6, 5, dtype=torch.float64)
    labels = torch.tensor([5, 1, 5, 2, 0, 5])
    positive = labels < 5
    log_q = (student[positive] / 2).log_softmax(1)
    p = (teacher[positive] / 2).softmax(1)
    theirs = 4 * torch.nn.functional.kl_div(log_q, p, reduction='none').mean(1).mean()
    torch.testing.assert_close(
        KDLoss(tau=2.0, loss_weight=1 / 5)(student, teacher, labels=labels), theirs)


def test_only_background_costs_nothing_but_keeps_the_graph():
    student = torch.randn(4, 5, requires_grad=True)
    value = KDLoss()(student, torch.randn(4, 5), labels=torch.full((4,), 5))
    value.backward()
    assert value == 0
    assert not student.grad.any()
