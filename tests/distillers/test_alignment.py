"""Aligning student and teacher."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmkd_ext.distillers.alignment import about_tokens, ours_instead, plan_alignment
from mmkd_ext.distillers.link_distiller import is_classifier
from mmkd_ext.distillers.links import Source, Tap
from mmkd_ext.errors import ShapeError
from mmkd_ext.methods import ATLoss, CWDLoss, FitNetsLoss, KDLoss


def plan(loss, student, teacher, classes=False):
    return plan_alignment(
        loss, torch.zeros(student), torch.zeros(teacher), classes=classes
    )


MAP, WIDE = (1, 4, 8, 8), (1, 6, 8, 8)


@pytest.mark.parametrize(
    ('loss', 'student', 'teacher', 'done'),
    [
        (CWDLoss(), MAP, MAP, None),
        (FitNetsLoss(), MAP, WIDE, '1x1 conv 4->6'),
        (FitNetsLoss(), (1, 64, 4), (1, 64, 4), None),
        (KDLoss(), MAP, (1, 4, 16, 12), 'bilinear to the teacher'),
        (ATLoss(), MAP, WIDE, None),  # relations have no channels
        (ATLoss(), MAP, (1, 6, 16, 12), 'bilinear to the teacher'),
        (torch.nn.MSELoss(), MAP, WIDE, None),
    ],
)
def test_what_is_aligned(loss, student, teacher, done):
    aligner = plan(loss, student, teacher)
    assert (aligner and aligner.describe()) == done
    if aligner is not None:
        aligned = aligner(torch.zeros(student), torch.zeros(teacher))
        assert aligned.shape[2:] == teacher[2:]


def test_the_student_takes_the_size_of_the_teacher():
    aligner = plan(KDLoss(), MAP, (1, 4, 16, 12))
    student, teacher = torch.rand(1, 4, 5, 7), torch.zeros(1, 4, 9, 3)
    expected = F.interpolate(student, (9, 3), mode='bilinear', align_corners=False)
    assert torch.equal(aligner(student, teacher), expected)


def test_a_pyramid_is_aligned_level_by_level():
    student = (torch.zeros(1, 4, 8, 8), torch.zeros(1, 6, 4, 4))
    teacher = (torch.zeros(1, 6, 8, 8), torch.zeros(1, 6, 4, 4))
    aligner = plan_alignment(CWDLoss(), student, teacher, classes=False)
    aligned = aligner(student, teacher)
    assert [x.shape for x in aligned] == [x.shape for x in teacher]
    assert aligned[1] is student[1]
    with pytest.raises(ShapeError, match='2 levels'):
        aligner(student[:1], teacher[:1])


@pytest.mark.parametrize(
    ('loss', 'student', 'teacher', 'classes', 'word'),
    [
        (ATLoss(), (1, 19, 8, 8), (1, 21, 8, 8), True, 'classes'),
        (CWDLoss(), (1, 19, 8, 8), (1, 21, 8, 8), True, 'classes'),
        (KDLoss(), MAP, WIDE, False, 'ConvAdapter'),
        (FitNetsLoss(), (1, 4), MAP, False, 'number of axes'),
        (CWDLoss(), (1, 65, 4), MAP, False, r'\(1, 65, 4\) are tokens.*TokensToMap'),
        (CWDLoss(), MAP, (1, 64, 4), False, r'\(1, 64, 4\) are tokens.*TokensToMap'),
        (CWDLoss(), (1, 64, 4), (1, 64, 6), False, 'are tokens'),
        (CWDLoss(), (1, 65, 4), (1, 64, 4), False, 'are tokens'),
    ],
)
def test_what_cannot_be_aligned(loss, student, teacher, classes, word):
    with pytest.raises(ShapeError, match=word):
        plan(loss, student, teacher, classes)


@pytest.mark.parametrize('sides', [((2, 4), (2, 6)), ((2, 9, 4), (2, 9, 6))])
def test_vectors_and_tokens_get_a_linear_layer_where_the_loss_takes_them(sides):
    align = plan(FitNetsLoss(), *sides)
    assert align.describe() == 'linear 4->6'
    student, teacher = map(torch.rand, sides)
    assert align(student, teacher).shape == sides[1]
    layer = align.adapters[0].linear
    expected = student @ layer.weight.T + layer.bias
    assert torch.allclose(align(student, teacher), expected, atol=1e-6)


def test_tokens_of_another_number_are_not_aligned():
    with pytest.raises(ShapeError, match='only maps can be aligned'):
        plan(FitNetsLoss(), (2, 9, 4), (2, 16, 4))


def test_a_loss_of_maps_says_which_layer_would_widen_its_rows():
    with pytest.raises(ShapeError, match=r'LinearAdapter.*in_channels=4, out_ch'):
        plan(KDLoss(), (2, 4), (2, 6))


def test_only_what_may_be_tokens_is_told_so():
    maps, rows = torch.zeros(1, 4, 8, 8), torch.zeros(3, 4)
    assert about_tokens(maps, rows, 'other', [maps, None]) == ''
    assert 'TokensToMap' in about_tokens(maps, (maps, torch.zeros(1, 65, 4)))


def test_gradients_pass_the_alignment():
    student = torch.rand(1, 4, 4, 4, requires_grad=True)
    teacher = torch.rand(1, 6, 8, 8)
    aligner = plan_alignment(FitNetsLoss(), student.detach(), teacher, classes=False)
    FitNetsLoss()(aligner(student, teacher), teacher).backward()
    assert student.grad.abs().sum() > 0


# ---- what is a class, seen from where a tap listens ----------------------------------


def part(layers, **attributes):
    module = torch.nn.ModuleDict(layers)
    vars(module).update(attributes)
    return module


def conv(width):
    return torch.nn.Conv2d(4, width, 1)


@pytest.mark.parametrize(
    ('kind', 'name', 'classes'),
    [
        ('ModuleOutputs', 'dense.retina_cls', True),
        ('ModuleOutputs', 'dense.retina_reg', False),
        ('ModuleOutputs', 'dense.cls_convs', False),
        ('ModuleOutputs', 'roi_head.box.fc_cls', True),
        ('ModuleOutputs', 'roi_head.box.fc_reg', False),
        ('ModuleOutputs', 'neck.conv', False),
        ('ModuleInputs', 'roi_head.box.loss_cls', True),
        ('ModuleInputs', 'roi_head.box.loss_bbox', False),
    ],
)
def test_knows_which_channels_are_classes(kind, name, classes):
    dense = {'cls_convs': conv(8), 'retina_cls': conv(27), 'retina_reg': conv(36)}
    box = {'fc_cls': torch.nn.Linear(8, 4), 'fc_reg': torch.nn.Linear(8, 12)}
    model = part({
        # nine priors, three classes
        'dense': part(dense, num_classes=3, cls_out_channels=3, num_base_priors=9),
        # channels that are no classes
        'neck': part({'conv': conv(8)}, out_channels=8),
        # three classes and the background
        'roi_head': part({'box': part(box, num_classes=3)}),
    })
    assert is_classifier(model, Tap('student', Source(kind, name))) is classes


@pytest.mark.parametrize(
    ('kind', 'hint'),
    [
        ('ChannelWiseDivergence', '`mmkd_ext.CWDLoss` takes other channels and size'),
        ('ATLoss', '`mmkd_ext.ATLoss` takes other channels and size'),
        ('KLDivergence', '`mmkd_ext.KDLoss` takes other size'),
        ('RKDLoss', ''),
    ],
)
def test_names_our_loss_that_would_align(kind, hint):
    theirs = type(kind, (torch.nn.Module,), {})()
    assert ours_instead(theirs).startswith(hint)
    assert bool(hint) == bool(ours_instead(theirs))
    assert ours_instead(CWDLoss()) == ''
