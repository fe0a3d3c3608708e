"""DKD and DIST beside MMRazor's: equal where it is right, and where not, why not."""

from __future__ import annotations

import importlib
import warnings

import pytest
import torch
from slow_parts import two_sides

pytest.importorskip('mmrazor', reason='compares with MMRazor')

from mmkd_ext import compat
from mmkd_ext.methods import DISTLoss, DKDLoss

compat.apply()
losses = importlib.import_module('mmrazor.models.losses')

N, C, H, W = 6, 5, 3, 4
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])
TAUS = pytest.mark.parametrize('tau', [1.0, 4.0])


def theirs(student, teacher, labels=LABELS, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of `size_average`
        return losses.DKDLoss(**arguments)(student, teacher, labels)


@TAUS
def test_dkd_equals_mmrazors_batchmean_with_its_gradient(tau):
    results = []
    settings = dict(alpha=1.0, beta=0.25, tau=tau, loss_weight=2.0)
    for compute in (lambda s, t: DKDLoss(**settings)(s, t, labels=LABELS),
                    lambda s, t: theirs(s, t, **settings)):
        student, teacher = two_sides(N, C)
        value = compute(student.requires_grad_(), teacher)
        value.backward()
        results.append((value.detach(), student.grad))
    torch.testing.assert_close(results[0], results[1])


def test_dkd_takes_a_mean_where_mmrazor_takes_the_sum():
    sides = two_sides(N, C)
    ours = DKDLoss(reduction='mean')(*sides, labels=LABELS)
    torch.testing.assert_close(theirs(*sides, reduction='mean'), N * ours)
    torch.testing.assert_close(
        theirs(*sides, reduction='none'),
        DKDLoss(reduction='sum')(*sides, labels=LABELS))


def test_dkd_stays_finite_where_mmrazor_does_not():
    student = torch.tensor([[2000.0, 0.0, 0.0]])
    teacher = torch.tensor([[0.0, 2000.0, 0.0]])
    labels = torch.tensor([1])
    assert not theirs(student, teacher, labels).isfinite()
    # all of the target, 2000 nats; the others: evenly for the teacher, so that the
    # student's 2000 between them costs half of it, less the entropy of the two
    wanted = 2000 + 1000 - torch.tensor(2.0).log()
    torch.testing.assert_close(DKDLoss()(student, teacher, labels=labels), wanted)


@TAUS
def test_dist_of_rows_equals_mmrazors_with_its_gradient(tau):
    results = []
    other = losses.DISTLoss(inter_loss_weight=0.5, intra_loss_weight=2.0, tau=tau)
    for loss in (DISTLoss(beta=0.5, gamma=2.0, tau=tau), other):
        student, teacher = two_sides(N, C)
        value = loss(student.requires_grad_(), teacher)
        value.backward()
        results.append((value.detach(), student.grad))
    torch.testing.assert_close(results[0], results[1])


def test_dist_of_maps_equals_mmrazors_in_the_term_within_samples_only():
    student, teacher = two_sides(N, C, H, W)
    inter, intra = dict(beta=1.0, gamma=0.0), dict(beta=0.0, gamma=1.0)
    torch.testing.assert_close(
        DISTLoss(**inter)(student, teacher),
        losses.DISTLoss(inter_loss_weight=1.0, intra_loss_weight=0.0)(student, teacher))
    other = losses.DISTLoss(inter_loss_weight=0.0, intra_loss_weight=1.0)
    assert (DISTLoss(**intra)(student, teacher) - other(student, teacher)).abs() > 1e-3
    # theirs on rows is ours on maps
    rows = [x.permute(0, 2, 3, 1).reshape(-1, C) for x in (student, teacher)]
    torch.testing.assert_close(DISTLoss(**intra)(student, teacher), other(*rows))


def test_dist_of_one_map_varies_over_positions_where_mmrazors_is_constant():
    student, teacher = two_sides(1, C, H, W)
    other = losses.DISTLoss(inter_loss_weight=0.0, intra_loss_weight=1.0)
    assert other(student, teacher) == 1
    assert (DISTLoss(beta=0.0)(student, teacher) - 1).abs() > 1e-3
