"""Continual test-time adaptation: a segmentor on a stream without labels."""

from __future__ import annotations

from mmkd_ext.adaptation.algorithm import ContinualAdaptation
from mmkd_ext.adaptation.batch import Batch, Skip, StepResult, Update
from mmkd_ext.adaptation.distillers import (
    AdaptDistiller,
    BNStatsDistiller,
    SourceDistiller,
    TentDistiller,
)
from mmkd_ext.adaptation.watch import AdaptGuard, Verdict

__all__ = [
    'AdaptDistiller',
    'AdaptGuard',
    'BNStatsDistiller',
    'Batch',
    'ContinualAdaptation',
    'Skip',
    'SourceDistiller',
    'StepResult',
    'TentDistiller',
    'Update',
    'Verdict',
]
