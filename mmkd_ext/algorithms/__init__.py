"""Algorithms: who is trained, who teaches, and what one step does."""

from __future__ import annotations

from mmkd_ext.algorithms.mutual import MutualDistill
from mmkd_ext.algorithms.quantized import Quantized
from mmkd_ext.algorithms.teacher_distill import TeacherDistill

__all__ = ['MutualDistill', 'Quantized', 'TeacherDistill']
