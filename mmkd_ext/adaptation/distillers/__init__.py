"""Methods of adaptation, one file each."""

from __future__ import annotations

from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.adaptation.distillers.bn_stats import BNStatsDistiller
from mmkd_ext.adaptation.distillers.source import SourceDistiller
from mmkd_ext.adaptation.distillers.tent import TentDistiller

__all__ = ['AdaptDistiller', 'BNStatsDistiller', 'SourceDistiller', 'TentDistiller']
