"""WSLD: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from math import exp, log
from types import SimpleNamespace

import pytest
import torch
from slow_parts import doubles, sample

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import WSLDLoss, WSLDPixelLoss
from mmkd_ext.methods.wsld import soft_label_weight
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

# By hand: the teacher gives the class 1/2, the student 1/4, so the student's cross
# entropy is twice the teacher's; at tau=1 the soft label is (1/2, 1/4, 1/4).
TEACHER = [[log(2), 0.0, 0.0]]
STUDENT = [[0.0, log(2), 0.0]]
ENTROPY = 0.5 * log(4) + 0.25 * log(2) + 0.25 * log(4)
EPS = 1e-7
EQUAL = (1 - exp(-log(2) / (log(2) + EPS))) * 1.5 * log(2)
VALUE = (1 - exp(-2 * log(2) / (log(2) + EPS))) * ENTROPY
EXEMPT = {
    'zero_at_equality': 'a cross entropy, which is that of the teacher at equality',
    'gradients_are_right': 'the weight of a sample is detached, as in the paper; '
                           'test_the_gradient_is_that_of_the_weighted_entropy',
}


def labels_of(generator):
    return {'labels': torch.randint(5, (4,), generator=generator)}


def samples_of(generator):
    labels = torch.randint(6, (2, 6, 5), generator=generator)
    labels = labels.masked_fill(labels == 5, 255)
    return {'data_samples': [sample(one[None]) for one in labels]}


CASES = [
    LossCase(
        WSLDLoss, {'tau': 1.0}, inputs=pair(4, 5), extras=labels_of, exempt=EXEMPT,
        invariances={'a constant added to each row': lambda x: x + x[:, :1].detach()},
        values=[KnownValue(STUDENT, TEACHER, VALUE, 'by hand',
                           {'labels': torch.tensor([0])}),
                KnownValue(TEACHER, TEACHER, EQUAL,
                           'equal sides: the entropy of (1/2, 1/4, 1/4)',
                           {'labels': torch.tensor([0])})],
    ),
    LossCase(
        WSLDPixelLoss, {'tau': 1.0}, inputs=pair(2, 5, 3, 4), extras=samples_of,
        exempt=EXEMPT,
        values=[KnownValue([[[[0.0, 9.0]], [[log(2), 0.0]], [[0.0, 0.0]]]],
                           [[[[log(2), 0.0]], [[0.0, 0.0]], [[0.0, 9.0]]]], VALUE,
                           'the second pixel is ignored',
                           {'data_samples': [sample([[[0, 255]]])]})],
    ),
    LossCase(
        WSLDLoss, {'tau': 4.0}, inputs=pair(4, 5), extras=labels_of, exempt=EXEMPT,
        values=[KnownValue([[4 * x for x in STUDENT[0]]], [[4 * x for x in TEACHER[0]]],
                           16 * ENTROPY * (1 - exp(-log(18) / (log(18 / 16) + EPS))),
                           'soft labels at tau=4 as above; the classes at 16:1:1',
                           {'labels': torch.tensor([0])})],
    ),
]


@pytest.mark.parametrize('classes', [2, 10, 1000])
def test_equal_sides_weigh_each_sample_alike(classes):
    logits = doubles(6, classes)
    weights = soft_label_weight(logits, logits, torch.zeros(6).long())
    torch.testing.assert_close(weights, torch.full_like(weights, 1 - exp(-1)),
                               rtol=1e-5, atol=0)


def test_a_sample_that_the_student_knows_counts_nothing_and_a_sure_teacher_all():
    sure = torch.tensor([[1e4, 0.0, 0.0]])
    flat, first = torch.zeros(1, 3), torch.tensor([0])
    assert soft_label_weight(sure, flat, first) == 0
    assert soft_label_weight(flat, sure, first) == 1


def test_the_gradient_is_that_of_the_weighted_entropy():
    teacher, labels = doubles(4, 5, seed=1), torch.tensor([0, 1, 2, 4])
    student = doubles(4, 5).requires_grad_()
    WSLDLoss(tau=2.0)(student, teacher, labels=labels).backward()
    weight = soft_label_weight(student, teacher, labels)[:, None]
    # tau (q - p) for each sample, by hand
    slope = 2 * weight * ((student / 2).softmax(1) - (teacher / 2).softmax(1)) / 4
    torch.testing.assert_close(student.grad, slope)


@pytest.mark.parametrize('labels', [
    torch.full((2, 3), 1 / 3), torch.tensor([0.5, 1.0]), torch.tensor([True, False])])
def test_smoothed_and_mixed_labels_have_no_class(labels):
    with pytest.raises(ShapeError, match='smoothed and mixed labels'):
        WSLDLoss()(torch.zeros(2, 3), torch.zeros(2, 3), labels=labels)


def test_labels_may_come_with_the_samples_of_the_batch():
    student, teacher = doubles(2, 3), doubles(2, 3, seed=1)
    samples = [SimpleNamespace(gt_label=torch.tensor([c])) for c in (2, 0)]
    torch.testing.assert_close(
        WSLDLoss()(student, teacher, labels=samples),
        WSLDLoss()(student, teacher, labels=torch.tensor([2, 0])))
    with pytest.raises(ConfigError, match='no `gt_label`'):
        WSLDLoss()(student, teacher, labels=[SimpleNamespace(), samples[0]])
    with pytest.raises(ShapeError, match='3 labels'):
        WSLDLoss()(student, teacher, labels=[
            SimpleNamespace(gt_label=torch.arange(3)), samples[0]])


@pytest.mark.parametrize(('labels', 'error', 'message'), [
    ([3, 0], ConfigError, 'labels reach from 0 to 3, but the logits have 3 classes'),
    ([-1, 0], ConfigError, 'labels reach from -1'),
    ([0], ShapeError, 'one for each of 2 rows, but are 1')])
def test_says_which_labels_do_not_fit(labels, error, message):
    with pytest.raises(error, match=message):
        WSLDLoss()(torch.zeros(2, 3), torch.zeros(2, 3), labels=torch.tensor(labels))


def test_one_class_has_no_other():
    with pytest.raises(ShapeError, match='there must be another'):
        WSLDLoss()(torch.zeros(2, 1), torch.zeros(2, 1), labels=torch.zeros(2).long())


def test_all_pixels_ignored_cost_nothing_but_keep_the_graph():
    student = doubles(1, 3, 2, 2).requires_grad_()
    value = WSLDPixelLoss()(student, doubles(1, 3, 2, 2, seed=1),
                            data_samples=[sample(torch.full((1, 2, 2), 255))])
    value.backward()
    assert value == 0
    assert not student.grad.any()


def test_a_batch_of_one_and_extreme_logits_are_finite():
    student = torch.tensor([[1e4, 0.0, -1e4]]).requires_grad_()
    value = WSLDLoss()(student, -student.detach(), labels=torch.tensor([2]))
    value.backward()
    assert value.isfinite()
    assert student.grad.isfinite().all()


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_soft_label_weight(student, teacher, labels):
    def cross_entropy(row, label):
        return log(sum(exp(z) for z in row)) - row[label]

    return [1 - exp(-cross_entropy(s, y) / (cross_entropy(t, y) + 1e-7))
            for s, t, y in zip(student, teacher, labels)]


def slow_loss(student, teacher, labels, tau):
    total = 0.0
    for s, t, weight in zip(student, teacher,
                            slow_soft_label_weight(student, teacher, labels)):
        q, p = ([exp(z / tau) for z in row] for row in (s, t))
        total -= weight * tau**2 * sum(
            a / sum(p) * log(b / sum(q)) for a, b in zip(p, q))
    return total / len(labels)


@pytest.mark.parametrize('tau', [1.0, 2.0, 4.0])
@pytest.mark.parametrize('shape', [(1, 2), (4, 3), (5, 81)])
def test_equals_its_twin(shape, tau):
    student, teacher = doubles(*shape), doubles(*shape, seed=1)
    labels = torch.arange(shape[0]) % shape[1]
    sides = student.tolist(), teacher.tolist(), labels.tolist()
    torch.testing.assert_close(
        soft_label_weight(student, teacher, labels),
        torch.tensor(slow_soft_label_weight(*sides), dtype=torch.float64))
    torch.testing.assert_close(
        WSLDLoss(tau=tau)(student, teacher, labels=labels),
        torch.tensor(slow_loss(*sides, tau), dtype=torch.float64))
