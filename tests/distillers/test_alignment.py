"""Aligning student and teacher."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmkd_ext.distillers.alignment import about_tokens, ours_instead, plan_alignment
from mmkd_ext.errors import ShapeError
from mmkd_ext.methods import ATLoss, CWDLoss, FitNetsLoss, KDLoss


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


def test_channels_stay_as_they_are_for_a_loss_on_relations():
    assert plan(ATLoss(), (1, 4, 8, 8), (1, 6, 8, 8)) is None
    aligner = plan(ATLoss(), (1, 4, 8, 8), (1, 6, 16, 12))
    assert aligner.describe() == 'bilinear to the teacher'
    assert not list(aligner.parameters())


def test_classes_are_not_related_either():
    with pytest.raises(ShapeError, match='differ in classes'):
        plan(ATLoss(), (1, 19, 8, 8), (1, 21, 8, 8), classes=True)


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


@pytest.mark.parametrize(
    ('student', 'teacher', 'tokens'),
    [
        ((1, 65, 4), (1, 4, 8, 8), r'\(1, 65, 4\)'),
        ((1, 4, 8, 8), (1, 64, 4), r'\(1, 64, 4\)'),
        ((1, 64, 4), (1, 64, 6), r'\(1, 64, 4\)'),
        ((1, 65, 4), (1, 64, 4), r'\(1, 65, 4\)'),
    ],
)
def test_tokens_are_told_how_to_become_maps(student, teacher, tokens):
    with pytest.raises(ShapeError, match=f'If {tokens} are tokens.*TokensToMap'):
        plan(CWDLoss(), student, teacher)


def test_equal_tokens_need_no_alignment():
    assert plan(FitNetsLoss(), (1, 64, 4), (1, 64, 4)) is None


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


def test_another_losses_sides_are_left_alone():
    assert plan(torch.nn.MSELoss(), (1, 4, 8, 8), (1, 6, 8, 8)) is None


def test_gradients_pass_the_alignment():
    student = torch.rand(1, 4, 4, 4, requires_grad=True)
    teacher = torch.rand(1, 6, 8, 8)
    aligner = plan_alignment(FitNetsLoss(), student.detach(), teacher, classes=False)
    FitNetsLoss()(aligner(student, teacher), teacher).backward()
    assert student.grad.abs().sum() > 0


# ---- what is a class, seen from where a tap listens ----------------------------------


class _DenseHead(torch.nn.Module):
    """As mmdet's: nine priors, three classes."""

    num_classes, cls_out_channels, num_base_priors = 3, 3, 9

    def __init__(self):
        super().__init__()
        self.cls_convs = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 1))
        self.retina_cls = torch.nn.Conv2d(8, 27, 1)
        self.retina_reg = torch.nn.Conv2d(8, 36, 1)


class _BoxHead(torch.nn.Module):
    """As mmdet's: three classes and the background."""

    num_classes = 3

    def __init__(self):
        super().__init__()
        self.fc_cls = torch.nn.Linear(8, 4)
        self.fc_reg = torch.nn.Linear(8, 12)


class _Neck(torch.nn.Module):
    """Says how many channels it has, which are no classes."""

    out_channels = 8

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 8, 1)


@pytest.mark.parametrize(
    ('kind', 'name', 'classes'),
    [
        ('ModuleOutputs', 'dense.retina_cls', True),
        ('ModuleOutputs', 'dense.retina_reg', False),
        ('ModuleOutputs', 'dense.cls_convs.0', False),
        ('ModuleOutputs', 'roi_head.box.fc_cls', True),
        ('ModuleOutputs', 'roi_head.box.fc_reg', False),
        ('ModuleOutputs', 'neck.conv', False),
        ('ModuleInputs', 'roi_head.box.loss_cls', True),
        ('ModuleInputs', 'roi_head.box.loss_bbox', False),
    ],
)
def test_knows_which_channels_are_classes(kind, name, classes):
    from mmkd_ext.distillers.link_distiller import _is_classifier
    from mmkd_ext.distillers.links import Source, Tap

    model = torch.nn.ModuleDict({
        'dense': _DenseHead(),
        'neck': _Neck(),
        'roi_head': torch.nn.ModuleDict({'box': _BoxHead()}),
    })
    assert _is_classifier(model, Tap('student', Source(kind, name))) is classes


@pytest.mark.parametrize(
    ('kind', 'said'),
    [
        ('ChannelWiseDivergence', '`mmkd_ext.CWDLoss` takes other channels and size'),
        ('ATLoss', '`mmkd_ext.ATLoss` takes other channels and size'),
        ('KLDivergence', '`mmkd_ext.KDLoss` takes other size'),
        ('RKDLoss', ''),
    ],
)
def test_names_our_loss_that_would_align(kind, said):
    theirs = type(kind, (torch.nn.Module,), {})()
    assert ours_instead(theirs).startswith(said)
    assert bool(said) == bool(ours_instead(theirs))


def test_ours_is_not_recommended_in_its_own_place():
    assert ours_instead(CWDLoss()) == ''
