"""Connectors: modules between a tap and a loss."""

from __future__ import annotations

from mmkd_ext.connectors.adapters import ConvAdapter
from mmkd_ext.connectors.per_level import PerLevel

__all__ = ['ConvAdapter', 'PerLevel']
