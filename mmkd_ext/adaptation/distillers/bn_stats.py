"""BN statistics: normalise with the statistics of the image, without training."""

from __future__ import annotations

from typing import ClassVar

from mmkd_ext.adaptation.distillers._statistics import StatisticsDistiller
from mmkd_ext.registry import MODELS

__all__ = ['BNStatsDistiller']


@MODELS.register_module()
class BNStatsDistiller(StatisticsDistiller):
    """Replaces the running statistics of batch normalisation; trains nothing.

    Dropout and drop path stay off. The "BN Stats Adapt" row of the tables on ACDC was
    made in train mode, so with both on.

    Args:
        statistics: See `StatisticsDistiller`.
        mixing: Likewise.
        **common: See `AdaptDistiller`.
    """

    trains: ClassVar[bool] = False
