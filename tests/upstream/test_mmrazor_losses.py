"""Our losses beside MMRazor's: equal where it is right, and where not, why not.

A person who moves a config from MMRazor finds here by which factor a weight changes.
"""

from __future__ import annotations

import importlib

import pytest
import torch
from slow_parts import doubles, two_sides

pytest.importorskip('mmrazor', reason='compares with MMRazor')

from mmkd_ext import compat
from mmkd_ext.errors import ShapeError
from mmkd_ext.methods import ATLoss, CWDLoss, FitNetsLoss, KDLoss

compat.apply()
# not skipped: where MMRazor is installed, it must be importable
losses = importlib.import_module('mmrazor.models.losses')

N, C, H, W = 2, 5, 3, 4
TAUS = pytest.mark.parametrize('tau', [1.0, 2.0, 4.0])


def value_and_gradient(loss, student, teacher):
    student = student.clone().requires_grad_()
    value = loss(student, teacher)
    value.backward()
    return value.detach(), student.grad


@TAUS
def test_cwd_equals_channel_wise_divergence_with_its_gradient(tau):
    sides = two_sides(N, C, H, W)
    ours = value_and_gradient(CWDLoss(tau=tau, loss_weight=3.0), *sides)
    theirs = value_and_gradient(
        losses.ChannelWiseDivergence(tau=tau, loss_weight=3.0), *sides)
    torch.testing.assert_close(ours, theirs)


def test_cwd_takes_channels_last_where_mmrazor_crashes():
    student, teacher = two_sides(N, C, H, W)
    swapped = student.contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError, match='view size is not compatible'):
        losses.ChannelWiseDivergence()(swapped, teacher)
    torch.testing.assert_close(CWDLoss()(swapped, teacher), CWDLoss()(student, teacher))


def test_cwd_refuses_other_channels_where_mmrazor_gives_a_number():
    # 2 * 6 and 3 * 4 rows are both twelve, so nothing stops it
    student, teacher = torch.randn(2, 6, 8, 8), torch.randn(3, 4, 8, 8)
    assert losses.ChannelWiseDivergence()(student, teacher).isfinite()
    with pytest.raises(ShapeError, match='Axis `n` differs'):
        CWDLoss()(student, teacher)


def test_cwd_with_a_learning_teacher_equals_mmrazor_in_both_gradients():
    results = []
    for loss in (CWDLoss(tau=2.0, teacher_detach=False),
                 losses.ChannelWiseDivergence(tau=2.0)):
        student, teacher = (x.requires_grad_() for x in two_sides(N, C, H, W))
        loss(student, teacher).backward()
        results.append((student.grad, teacher.grad))
    torch.testing.assert_close(results[0], results[1])


@TAUS
def test_kd_of_samples_equals_kl_divergence(tau):
    sides = two_sides(N, C)
    ours = value_and_gradient(KDLoss(tau=tau, loss_weight=0.9), *sides)
    theirs = value_and_gradient(losses.KLDivergence(tau=tau, loss_weight=0.9), *sides)
    torch.testing.assert_close(ours, theirs)


@TAUS
@pytest.mark.parametrize(('reduction', 'factor'), [
    # theirs sums over the pixels and divides by the images
    ('batchmean', H * W),
    # theirs divides by the classes too, though their sum is one divergence
    ('mean', 1 / C)])
def test_kd_of_pixels_is_a_mean_over_pixels_and_mmrazors_a_multiple(
        reduction, factor, tau):
    sides = two_sides(N, C, H, W)
    ours, our_gradient = value_and_gradient(KDLoss(tau=tau), *sides)
    theirs, their_gradient = value_and_gradient(
        losses.KLDivergence(tau=tau, reduction=reduction), *sides)
    torch.testing.assert_close(theirs, factor * ours)
    torch.testing.assert_close(their_gradient, factor * our_gradient)


@pytest.mark.parametrize('reduction', ['sum', 'batchmean'])
def test_kd_reductions_of_the_same_name_agree_where_they_mean_the_same(reduction):
    sides = two_sides(N, C, H, W)
    torch.testing.assert_close(
        KDLoss(reduction=reduction)(*sides),
        losses.KLDivergence(reduction=reduction)(*sides))


def test_kd_without_reduction_has_one_item_a_pixel_and_mmrazors_one_a_class():
    sides = two_sides(N, C, H, W)
    theirs = losses.KLDivergence(reduction='none')(*sides)
    assert theirs.shape == (N, C, H, W)
    torch.testing.assert_close(KDLoss(reduction='none')(*sides), theirs.sum(1))


def test_kd_refuses_sides_that_mmrazor_broadcasts():
    student, teacher = torch.randn(2, 5, 4, 4), torch.randn(1, 5, 4, 4)
    assert losses.KLDivergence()(student, teacher).isfinite()
    with pytest.raises(ShapeError, match='Axis `n` differs'):
        KDLoss()(student, teacher)


@pytest.mark.parametrize('shape', [(N, C, H, W), (N, C)])
def test_fitnets_equals_l2_loss_without_normalisation(shape):
    sides = two_sides(*shape)
    theirs = losses.L2Loss(normalize=False, div_element=True, loss_weight=10.0)
    torch.testing.assert_close(
        value_and_gradient(FitNetsLoss(loss_weight=10.0), *sides),
        value_and_gradient(theirs, *sides))


def test_fitnets_batchmean_equals_l2_loss_divided_by_the_images():
    sides = two_sides(N, C, H, W)
    torch.testing.assert_close(FitNetsLoss(reduction='batchmean')(*sides),
                               losses.L2Loss(normalize=False)(*sides))


def test_l2_loss_by_default_forgets_the_scale_which_fitnets_does_not():
    # each sample is divided by its norm, so a student twice too large costs nothing
    _, teacher = two_sides(N, C, H, W)
    assert losses.L2Loss()(2 * teacher, teacher).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(FitNetsLoss()(2 * teacher, teacher),
                               teacher.square().mean())


def test_fitnets_takes_channels_last_where_l2_loss_crashes():
    student, teacher = two_sides(N, C, H, W)
    swapped = student.contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError, match='view size is not compatible'):
        losses.L2Loss()(swapped, teacher)
    torch.testing.assert_close(FitNetsLoss()(swapped, teacher),
                               FitNetsLoss()(student, teacher))


def test_at_equals_mmrazors_with_its_gradient():
    sides = doubles(2, 5, 3, 4), doubles(2, 7, 3, 4, seed=1)
    torch.testing.assert_close(
        value_and_gradient(ATLoss(loss_weight=3.0), *sides),
        value_and_gradient(losses.ATLoss(loss_weight=3.0), *sides))


def test_at_stays_finite_in_halves_where_mmrazor_overflows():
    sides = [(1e3 * doubles(2, 5, 3, 4, seed=seed)).half() for seed in (0, 1)]
    assert not losses.ATLoss()(*sides).isfinite() or losses.ATLoss()(*sides) == 0
    assert ATLoss()(*sides) > 0
