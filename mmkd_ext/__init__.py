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
def _homes() -> dict[str, str]:
    """Where each name lives; those of methods are read in their files, not imported."""
    found = {}
    for package in ('methods', 'adaptation.distillers'):
        folder = Path(__file__).parent.joinpath(*package.split('.'))
        found.update(dict.fromkeys(public_names(folder), package))
    return {**found, **_HOME}


def _listed() -> list[str]:
    methods = [name for name in _homes() if name.endswith(('Loss', 'Distiller'))]
    return ['__version__', *dict.fromkeys([*_HOME, *methods])]


def __getattr__(name: str) -> Any:
    if name == '__all__':
        return _listed()
    if name not in _homes():
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_homes()[name]}'), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_listed()})
