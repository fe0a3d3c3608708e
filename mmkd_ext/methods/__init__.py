"""Distillation methods, one file each, named by their papers."""

from __future__ import annotations

from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods.cwd import CWDLoss
from mmkd_ext.methods.fitnets import FitNetsLoss
from mmkd_ext.methods.kd import KDLoss

__all__ = ['CWDLoss', 'FitNetsLoss', 'KDLoss', 'PairLoss']
