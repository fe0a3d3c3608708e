"""Aligning student and teacher."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmkd_ext.distillers.alignment import plan_alignment
from mmkd_ext.errors import ShapeError
from mmkd_ext.methods import CWDLoss, FitNetsLoss, KDLoss


def plan(loss, student, teacher, classes=False):
    return plan_alignment(
        loss, torch.zeros(student), torch.zeros(teacher), classes=classes
    )


def test_nothing_is_done_where_sides_fit():
    assert plan(CWDLoss(), (1, 4, 8, 8), (1, 4, 8, 8)) is None


def test_channels_get_a_convolution():
    aligner = plan(FitNetsLoss(), (1, 4, 8, 8), (1, 6, 8, 8))
    assert aligner.describe() == '1x1 conv 4->6'
    aligned = aligner(torch.zeros(2, 4, 8, 8), torch.zeros(2, 6, 8, 8))
    assert aligned.shape == (2, 6, 8, 8)
    assert sum(p.numel() for p in aligner.parameters()) == 4 * 6 + 6


def test_the_student_takes_the_size_of_the_teacher():
    aligner = plan(KDLoss(), (1, 4, 8, 8), (1, 4, 16, 12))
    assert aligner.describe() == 'bilinear to the teacher'
    student = torch.rand(1, 4, 5, 7)
    teacher = torch.zeros(1, 4, 9, 3)
    expected = F.interpolate(student, (9, 3), mode='bilinear', align_corners=False)
    assert torch.equal(aligner(student, teacher), expected)


def test_a_pyramid_is_aligned_level_by_level():
    student = (torch.zeros(1, 4, 8, 8), torch.zeros(1, 6, 4, 4))
    teacher = (torch.zeros(1, 6, 8, 8), torch.zeros(1, 6, 4, 4))
    aligner = plan_alignment(CWDLoss(), student, teacher, classes=False)
    aligned = aligner(student, teacher)
    assert [x.shape for x in aligned] == [x.shape for x in teacher]
    assert aligned[1] is student[1]
    with pytest.raises(ShapeError, match='planned for 2 levels'):
        aligner(student[:1], teacher[:1])


def test_classes_are_never_mixed():
    with pytest.raises(ShapeError, match='differ in classes'):
        plan(CWDLoss(), (1, 19, 8, 8), (1, 21, 8, 8), classes=True)


def test_a_loss_on_classes_does_not_align_channels():
    with pytest.raises(
        ShapeError, match=r'\(1, 4, 8, 8\).*\(1, 6, 8, 8\).*ConvAdapter'
    ):
        plan(KDLoss(), (1, 4, 8, 8), (1, 6, 8, 8))


def test_axes_must_agree():
    with pytest.raises(ShapeError, match='number of axes'):
        plan(FitNetsLoss(), (1, 4), (1, 4, 8, 8))


def test_another_losses_sides_are_left_alone():
    assert plan(torch.nn.MSELoss(), (1, 4, 8, 8), (1, 6, 8, 8)) is None


def test_gradients_pass_the_alignment():
    student = torch.rand(1, 4, 4, 4, requires_grad=True)
    teacher = torch.rand(1, 6, 8, 8)
    aligner = plan_alignment(FitNetsLoss(), student.detach(), teacher, classes=False)
    FitNetsLoss()(aligner(student, teacher), teacher).backward()
    assert student.grad.abs().sum() > 0
