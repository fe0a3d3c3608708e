"""Around the model: hooks, files, optimizer wrappers, launching."""

from __future__ import annotations

from mmkd_ext.engine.adversary import (
    AdversarialOptimWrapperConstructor,
    DiscriminatorScheduler,
)
from mmkd_ext.engine.fileio import AtomicLocalBackend, atomic_write
from mmkd_ext.engine.hooks import (
    AdaptProgressHook,
    CRDClassesHook,
    DistillCheckpointHook,
    FiniteLossHook,
    QuantizeHook,
    ReproducibleStepHook,
)
from mmkd_ext.engine.optim import Bf16OptimWrapper

__all__ = [
    'AdaptProgressHook',
    'AdversarialOptimWrapperConstructor',
    'AtomicLocalBackend',
    'Bf16OptimWrapper',
    'CRDClassesHook',
    'DiscriminatorScheduler',
    'DistillCheckpointHook',
    'FiniteLossHook',
    'QuantizeHook',
    'ReproducibleStepHook',
    'atomic_write',
]
