"""AT beside MMRazor's."""

from __future__ import annotations

import importlib

import pytest
import torch
from slow_parts import doubles

pytest.importorskip('mmrazor', reason='compares with MMRazor')

from mmkd_ext import compat
from mmkd_ext.methods import ATLoss

compat.apply()
# not skipped: where MMRazor is installed, it must be importable
losses = importlib.import_module('mmrazor.models.losses')


def value_and_gradient(loss, student, teacher):
    student = student.clone().requires_grad_()
    value = loss(student, teacher)
    value.backward()
    return value.detach(), student.grad


def test_at_equals_mmrazors_with_its_gradient():
    sides = doubles(2, 5, 3, 4), doubles(2, 7, 3, 4, seed=1)
    torch.testing.assert_close(
        value_and_gradient(ATLoss(loss_weight=3.0), *sides),
        value_and_gradient(losses.ATLoss(loss_weight=3.0), *sides))


def test_at_stays_finite_in_halves_where_mmrazor_overflows():
    sides = [(1e3 * doubles(2, 5, 3, 4, seed=seed)).half() for seed in (0, 1)]
    assert not losses.ATLoss()(*sides).isfinite() or losses.ATLoss()(*sides) == 0
    assert ATLoss()(*sides) > 0
