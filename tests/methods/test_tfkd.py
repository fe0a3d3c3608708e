"""Tf-KD: cases for the laws, the slow twin, the closed form of the virtual teacher."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from slow_parts import doubles, sample
from torch.nn.functional import kl_div

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import (
    TfKDSelfLoss,
    TfKDVirtualLoss,
    TfKDVirtualPixelLoss,
)
from mmkd_ext.methods.tfkd import virtual_teacher_divergence
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

KL = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
CASES = [
    LossCase(TfKDSelfLoss, {'tau': 1.0}, temperature='tau', inputs=pair(3, 5),
             values=[KnownValue([[0.0, 0.0]], [[log(3), 0.0]], KL / 2,
                                'KL(3/4 || 1/2) by hand, over two classes')]),
    LossCase(TfKDSelfLoss, {'tau': 4.0}, inputs=pair(2, 3, 4, 5),
             values=[KnownValue([[[[0.0]], [[0.0]]]], [[[[4 * log(3)]], [[0.0]]]],
                                16 * KL / 2, 'as skewed at tau=4; times tau**2')]),
]


def test_a_student_that_is_the_virtual_teacher_has_no_loss():
    # its logits are the probabilities themselves, divided by tau
    teacher = torch.full((1, 5), 0.01 / 4, dtype=torch.float64)
    teacher[0, 2] = 0.99
    value = virtual_teacher_divergence(teacher / 20, torch.tensor([2]))
    assert value.item() == pytest.approx(0, abs=1e-15)


def test_a_flat_student_of_two_classes_by_hand():
    # the teacher's softmax is 1 / (1 + e^-0.98) and the rest
    p = 1 / (1 + exp(-0.98))
    value = virtual_teacher_divergence(
        torch.zeros(1, 2, dtype=torch.float64), torch.tensor([0]), tau=1.0)
    assert value.item() == pytest.approx(p * log(2 * p) + (1 - p) * log(2 * (1 - p)))


def test_a_cold_teacher_is_the_label_and_the_loss_the_cross_entropy():
    student, labels = doubles(4, 6), torch.tensor([0, 1, 5, 2])
    torch.testing.assert_close(
        virtual_teacher_divergence(student, labels, correct=1.0, tau=1e-3),
        torch.nn.functional.cross_entropy(student, labels, reduction='none'))


@pytest.mark.parametrize('classes', [2, 11, 1000])
def test_is_the_elementwise_mean_of_the_authors(classes):
    student, labels = doubles(3, classes), torch.tensor([0, 1, 1])
    target = torch.full_like(student, 0.01 / (classes - 1))
    target.scatter_(1, labels[:, None], 0.99)
    wanted = kl_div(student.log_softmax(1), (target / 20).softmax(1), reduction='sum')
    torch.testing.assert_close(
        TfKDVirtualLoss(loss_weight=10.0)(student, labels=labels),
        10 * wanted / student.numel())


def test_gradients_are_right():
    labels = torch.tensor([0, 3])
    torch.autograd.gradcheck(
        lambda x: TfKDVirtualLoss()(x, labels=labels), doubles(2, 4).requires_grad_())


@pytest.mark.parametrize('reduction', ['mean', 'sum', 'batchmean'])
def test_labelled_pixels_are_the_samples(reduction):
    student = doubles(2, 5, 3, 4).requires_grad_()
    labels = torch.arange(24).reshape(2, 3, 4) % 7
    labels[labels > 4] = 255
    kept = labels.flatten() < 255
    rows = student.permute(0, 2, 3, 1).reshape(-1, 5)[kept]
    value = TfKDVirtualPixelLoss()(student, data_samples=[sample(x) for x in labels])
    torch.testing.assert_close(
        value, TfKDVirtualLoss()(rows, labels=labels.flatten()[kept]))
    value.backward()
    assert not student.grad.permute(0, 2, 3, 1).reshape(-1, 5)[~kept].any()
    nothing = TfKDVirtualPixelLoss(reduction=reduction)(
        student, data_samples=[sample(torch.full((3, 4), 255))] * 2)
    assert nothing == 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_computes_half_precision_in_float32(dtype):
    student, labels = doubles(2, 5).to(dtype), torch.tensor([0, 4])
    with torch.autocast('cpu', torch.bfloat16):
        value = TfKDVirtualLoss()(student, labels=labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, TfKDVirtualLoss()(student.float(), labels=labels))
    assert TfKDVirtualLoss()(1e4 * student, labels=labels).isfinite()


def test_smoothed_labels_have_no_class_and_one_class_no_other():
    with pytest.raises(ShapeError, match='smoothed and mixed labels'):
        TfKDVirtualLoss()(torch.zeros(2, 3), labels=torch.full((2, 3), 1 / 3))
    with pytest.raises(ShapeError, match='there must be another'):
        TfKDVirtualLoss()(torch.zeros(2, 1), labels=torch.zeros(2).long())
    with pytest.raises(ShapeError, match='`preds_S`'):
        TfKDVirtualLoss()(torch.zeros(2, 3, 1), labels=torch.zeros(2).long())


@pytest.mark.parametrize(('argument', 'value'), [
    ('tau', 0), ('correct', 1.5), ('correct', -0.1), ('loss_weight', -1),
    ('reduction', 'bachmean')])
def test_refuses_arguments_out_of_range(argument, value):
    with pytest.raises(ConfigError, match=f'`{argument}`'):
        TfKDVirtualLoss(**{argument: value})


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_virtual_teacher_divergence(student, labels, correct, tau):
    result = []
    for row, label in zip(student, labels):
        said = [correct if c == label else (1 - correct) / (len(row) - 1)
                for c in range(len(row))]
        p = [exp(u / tau) / sum(exp(v / tau) for v in said) for u in said]
        q = [exp(z) / sum(exp(x) for x in row) for z in row]
        result.append(sum(a * log(a / b) for a, b in zip(p, q)))
    return result


@pytest.mark.parametrize('tau', [0.1, 1.0, 40.0])
@pytest.mark.parametrize('shape', [(1, 2), (4, 3), (5, 81)])
def test_equals_its_twin(shape, tau):
    student, labels = doubles(*shape), torch.arange(shape[0]) % shape[1]
    slow = slow_virtual_teacher_divergence(student.tolist(), labels.tolist(), 0.9, tau)
    torch.testing.assert_close(
        virtual_teacher_divergence(student, labels, correct=0.9, tau=tau),
        torch.tensor(slow, dtype=torch.float64))
