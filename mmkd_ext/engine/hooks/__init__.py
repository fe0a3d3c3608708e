"""Hooks of mmengine's Runner."""

from __future__ import annotations

from mmkd_ext.engine.hooks.checkpoint import DistillCheckpointHook
from mmkd_ext.engine.hooks.finite import FiniteLossHook
from mmkd_ext.engine.hooks.reproducible import ReproducibleStepHook

__all__ = ['DistillCheckpointHook', 'FiniteLossHook', 'ReproducibleStepHook']
