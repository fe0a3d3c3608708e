"""CR-KD: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from slow_parts import two_sides

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import CRKDLoss
from mmkd_ext.methods.crkd import class_relation_entropy
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

NOVEL = {'labels': torch.tensor([2])}
# By hand. Of the known classes the teacher gives (3/4, 1/4), the student (1/3, 2/3); a
# single picture has the weight 1, whatever the student gives the third.
STUDENT, TEACHER = [[0.0, log(2), 7.0]], [[log(3), 0.0]]
ENTROPY = 0.75 * log(3) + 0.25 * log(3 / 2)
NOT_ZERO = {'zero_at_equality': 'a cross entropy, of sides with other classes'}


def labels_of(generator):
    return {'labels': torch.tensor([3, 0, 4, 4])}


CASES = [
    LossCase(
        CRKDLoss, {'tau': 1.0}, inputs=pair(4, 5, teacher=(4, 3)), extras=labels_of,
        temperature='tau', free_axes=(1,), exempt=NOT_ZERO, values=[
            KnownValue(STUDENT, TEACHER, ENTROPY, 'by hand', NOVEL),
            KnownValue(STUDENT * 2, TEACHER * 2, ENTROPY, 'a known one does not count',
                       {'labels': torch.tensor([2, 0])})])]


def slow_class_relation_entropy(student, teacher, tau):
    """Picture by picture and class by class, from the equation."""
    rows, weights = [], []
    for s, t in zip(student.tolist(), teacher.tolist()):
        total = sum(exp(x / tau) for x in s)
        known = [exp(x / tau) for x in s[:len(t)]]
        weights.append(sum(known) / total)
        of_teacher = [exp(x / tau) for x in t]
        rows.append(-sum(
            p / sum(of_teacher) * log(q / sum(known))
            for p, q in zip(of_teacher, known)))
    mean = sum(weights) / len(weights)
    return [tau ** 2 * w / mean * row for w, row in zip(weights, rows)]


@pytest.mark.parametrize('tau', [1.0, 4.0])
def test_is_that_of_the_equation(tau):
    student, teacher = two_sides(6, 7)
    teacher = teacher[:, :4]
    torch.testing.assert_close(
        class_relation_entropy(student, teacher, tau=tau),
        student.new_tensor(slow_class_relation_entropy(student, teacher, tau)))


def test_which_novel_class_a_label_names_has_no_influence():
    student, teacher = two_sides(4, 6)
    losses = [CRKDLoss()(student, teacher[:, :3], labels=torch.tensor(labels))
              for labels in ([0, 3, 4, 5], [2, 5, 5, 3])]
    torch.testing.assert_close(*losses)


def test_the_more_a_picture_is_taken_for_known_the_more_it_counts():
    student = torch.tensor([[2.0, 0, -4, -4], [2.0, 0, 4, 4]])
    items = class_relation_entropy(student, torch.zeros(2, 2))
    assert items[0] > 1.5 * items[1]


def test_of_known_pictures_alone_there_is_nothing_to_learn():
    student, teacher = two_sides(3, 5)
    value = CRKDLoss()(student.requires_grad_(), teacher[:, :3],
                       labels=torch.tensor([0, 1, 2]))
    value.backward()
    assert value == 0
    assert not student.grad.any()


def test_a_student_without_novel_classes_is_refused():
    student, teacher = two_sides(3, 5)
    with pytest.raises(ShapeError, match='more classes'):
        class_relation_entropy(student, teacher)
    with pytest.raises(ConfigError, match='labels'):
        CRKDLoss()(student, teacher[:, :3], labels=torch.tensor([0, 1, 5]))


def test_without_its_gradient_the_weight_moves_no_logit_of_a_novel_class():
    student, teacher = two_sides(4, 5)
    grads = [
        torch.autograd.grad(class_relation_entropy(
            student.requires_grad_(), teacher[:, :3], weight_gradient=flows).sum(),
            student)[0]
        for flows in (True, False)]
    assert grads[0][:, 3:].abs().sum() > 0
    assert not grads[1][:, 3:].any()
    assert grads[1][:, :3].abs().sum() > 0
