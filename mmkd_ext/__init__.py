"""MMKD-Ext: knowledge distillation and continual adaptation for OpenMMLab.

Importing this package imports neither torch nor mmengine; names such as
``mmkd_ext.CWDLoss`` are loaded when they are first used. Configs name them with the
scope, ``type='mmkd_ext.CWDLoss'``, and need no ``custom_imports``.
"""

from __future__ import annotations

import importlib
from typing import Any

from mmkd_ext.version import __version__

_NAMES = {
    'adaptation': ('CollapseGuard', 'ContinualAdaptation'),
    'adaptation.distillers': (
        'BNStatsDistiller',
        'CoTTADistiller',
        'DIGADistiller',
        'DoSeDistiller',
        'EATADistiller',
        'EMATeacherDistiller',
        'RoTTADistiller',
        'SARDistiller',
        'SourceDistiller',
        'TentDistiller',
    ),
    'algorithms.teacher': ('Teacher',),
    'algorithms.teacher_distill': ('TeacherDistill',),
    'checkpoint': ('load_weights', 'read_checkpoint', 'student_checkpoint'),
    'config.check': ('check_config', 'list_taps'),
    'connectors': ('PerLevel',),
    'distillers': ('LinkDistiller',),
    'engine': (
        'AdversarialOptimWrapperConstructor',
        'Bf16OptimWrapper',
        'DistillCheckpointHook',
        'FiniteLossHook',
        'ReproducibleStepHook',
    ),
    'errors': ('CheckpointError', 'ConfigError', 'MMKDError', 'ShapeError'),
    'methods': (
        'ATLoss',
        'CIRKDChannelLoss',
        'CIRKDMiniBatchLoss',
        'CIRKDPixelMemoryLoss',
        'CIRKDRegionMemoryLoss',
        'CWDLoss',
        'DISTLoss',
        'DKDLoss',
        'DKDPixelLoss',
        'DeFeatLoss',
        'FGDLoss',
        'FGFILoss',
        'FitNetsLoss',
        'IFVDLoss',
        'KAAdaptLoss',
        'KAAffinityLoss',
        'KDLoss',
        'LDLoss',
        'MGDLoss',
        'PKDLoss',
        'PairLoss',
        'ReviewKDLoss',
        'SKDSHolisticLoss',
        'SKDSPairwiseLoss',
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ['__version__', *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_HOME[name]}'), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
