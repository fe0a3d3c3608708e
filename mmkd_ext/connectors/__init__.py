"""Connectors: modules between a tap and a loss."""

from __future__ import annotations

from mmkd_ext.connectors.adapters import ConvAdapter, LinearAdapter
from mmkd_ext.connectors.class_map import ClassMap
from mmkd_ext.connectors.per_level import PerLevel
from mmkd_ext.connectors.queries import QueryClassMaps
from mmkd_ext.connectors.roi import RoIClassify
from mmkd_ext.connectors.rows import ConcatLevels, FlattenPredictions
from mmkd_ext.connectors.teachers import TeacherMean
from mmkd_ext.connectors.tokens import TokensToMap

__all__ = [
    'ClassMap',
    'ConcatLevels',
    'ConvAdapter',
    'FlattenPredictions',
    'LinearAdapter',
    'PerLevel',
    'QueryClassMaps',
    'RoIClassify',
    'TeacherMean',
    'TokensToMap',
]
