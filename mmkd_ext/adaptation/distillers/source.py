"""Source: the source model, without adaptation."""

from __future__ import annotations

from typing import Any, ClassVar

from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.registry import MODELS

__all__ = ['SourceDistiller']


@MODELS.register_module()
class SourceDistiller(AdaptDistiller):
    """Adapts nothing: the row of a table that all others are compared with.

    Args:
        **common: See `AdaptDistiller`; nothing of it matters but `order`.
    """

    trains: ClassVar[bool] = False

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
