"""Continual test-time adaptation: a segmentor on a stream without labels."""

from __future__ import annotations

from mmkd_ext.adaptation.algorithm import ContinualAdaptation
from mmkd_ext.adaptation.batch import Batch, Skip, StepResult, Update
from mmkd_ext.adaptation.decision import AdaptGuard, Decision
from mmkd_ext.adaptation.distillers import (
    AdaptDistiller,
    BNStatsDistiller,
    CoTTADistiller,
    DIGADistiller,
    DoSeDistiller,
    EATADistiller,
    EMATeacherDistiller,
    RoTTADistiller,
    SARDistiller,
    SourceDistiller,
    TentDistiller,
)
from mmkd_ext.adaptation.filters import EntropyFilter, RedundancyFilter
from mmkd_ext.adaptation.guard import CollapseGuard

__all__ = [
    'AdaptDistiller',
    'AdaptGuard',
    'BNStatsDistiller',
    'Batch',
    'CoTTADistiller',
    'CollapseGuard',
    'ContinualAdaptation',
    'DIGADistiller',
    'Decision',
    'DoSeDistiller',
    'EATADistiller',
    'EMATeacherDistiller',
    'EntropyFilter',
    'RedundancyFilter',
    'RoTTADistiller',
    'SARDistiller',
    'Skip',
    'SourceDistiller',
    'StepResult',
    'TentDistiller',
    'Update',
]
