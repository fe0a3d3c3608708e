"""Base class of methods that choose the batch-norm statistics."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.adaptation.distillers.bn_stats import mixing_of
from mmkd_ext.adaptation.norms import learning, require_batch_norm, use_adaptive_norms

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mmkd_ext.adaptation.batch import Batch

__all__ = ['StatisticsDistiller']


class StatisticsDistiller(AdaptDistiller):
    """Normalises the student with statistics of the stream.

    Args:
        statistics: ``'batch'``, ``'mixed'``, ``'ema'`` or ``'source'``, see
            `BNStatsDistiller`.
        mixing: Likewise.
        **common: See `AdaptDistiller`.

    Raises:
        ConfigError: Statistics other than the source's are asked for, and the network
            has no batch normalisation.
    """

    def __init__(
        self,
        statistics: str = 'batch',
        mixing: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.statistics, self.mixing = statistics, mixing_of(statistics, mixing)

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Replaces the batch normalisation of the student, unless it stays."""
        super().prepare(student, source)
        if self.statistics != 'source':
            require_batch_norm(student, type(self).__name__)
            use_adaptive_norms(student, self.mixing, keep=self.statistics == 'ema')

    def predict(self, batch: Batch) -> Tensor:
        """Predicts, and with ``'ema'`` keeps the statistics."""
        keeping = self.statistics == 'ema'
        with learning(self.student) if keeping else nullcontext():
            return self(batch.inputs, batch.originals)

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        own = {'statistics': self.statistics, 'mixing': self.mixing}
        return {**super().describe(), **own}
