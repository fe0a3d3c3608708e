"""Hooks of mmengine's Runner."""

from __future__ import annotations

from mmkd_ext.engine.hooks.adapt_progress import AdaptProgressHook
from mmkd_ext.engine.hooks.checkpoint import DistillCheckpointHook
from mmkd_ext.engine.hooks.crd import CRDClassesHook
from mmkd_ext.engine.hooks.finite import FiniteLossHook
from mmkd_ext.engine.hooks.quantize import QuantizeHook
from mmkd_ext.engine.hooks.reproducible import ReproducibleStepHook

__all__ = [
    'AdaptProgressHook',
    'CRDClassesHook',
    'DistillCheckpointHook',
    'FiniteLossHook',
    'QuantizeHook',
    'ReproducibleStepHook',
]
