"""Imports mmrazor, after the patches that it needs."""

from __future__ import annotations

from mmkd_ext import compat

compat.apply()

from mmrazor.models.algorithms.base import BaseAlgorithm  # noqa: E402
from mmrazor.models.distillers import (  # noqa: E402
    BaseDistiller,
    ConfigurableDistiller,
)
from mmrazor.models.task_modules import (  # noqa: E402
    DistillDeliveryManager,
    RecorderManager,
)

__all__ = [
    'BaseAlgorithm',
    'BaseDistiller',
    'ConfigurableDistiller',
    'DistillDeliveryManager',
    'RecorderManager',
]
