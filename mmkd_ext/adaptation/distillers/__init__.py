"""Methods of test-time adaptation, one file each."""

from __future__ import annotations

from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.adaptation.distillers.bn_stats import BNStatsDistiller
from mmkd_ext.adaptation.distillers.cotta import CoTTADistiller
from mmkd_ext.adaptation.distillers.diga import DIGADistiller
from mmkd_ext.adaptation.distillers.dose import DoSeDistiller
from mmkd_ext.adaptation.distillers.eata import EATADistiller
from mmkd_ext.adaptation.distillers.ema_teacher import EMATeacherDistiller
from mmkd_ext.adaptation.distillers.rotta import RoTTADistiller
from mmkd_ext.adaptation.distillers.sar import SARDistiller
from mmkd_ext.adaptation.distillers.source import SourceDistiller
from mmkd_ext.adaptation.distillers.tent import TentDistiller

__all__ = [
    'AdaptDistiller',
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
]
