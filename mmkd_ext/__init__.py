"""MMKD-Ext: knowledge distillation and continual adaptation for OpenMMLab.

Importing this package imports neither torch nor mmengine; names such as
``mmkd_ext.CWDLoss`` are loaded when they are first used. Configs name them with the
scope, ``type='mmkd_ext.CWDLoss'``, and need no ``custom_imports``.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any

from mmkd_ext.discovery import public_names
from mmkd_ext.version import __version__ as __version__

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
    'methods': ('PairLoss',),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}


@functools.lru_cache(None)
def _methods() -> list[str]:
    """Names in the files of the methods, read without importing torch."""
    return public_names(Path(__file__).parent / 'methods')


def _listed() -> list[str]:
    losses = [name for name in _methods() if name.endswith('Loss')]
    return ['__version__', *_HOME, *losses]


def __getattr__(name: str) -> Any:
    if name == '__all__':
        return _listed()
    if name not in _HOME and name not in _methods():
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = _HOME.get(name, 'methods')
    return getattr(importlib.import_module(f'{__name__}.{home}'), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_listed()})
