"""BN statistics: normalise with the statistics of the image, without training."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.adaptation.norms import learning, require_batch_norm, use_adaptive_norms
from mmkd_ext.errors import check_choice, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mmkd_ext.adaptation.batch import Batch

__all__ = ['MIXING', 'BNStatsDistiller']

#: Weight of the batch's statistics where the config gives none.
MIXING = {'source': 0.0, 'batch': 1.0, 'mixed': 0.1, 'ema': 0.05}


@MODELS.register_module()
class BNStatsDistiller(AdaptDistiller):
    r"""Replaces the running statistics of batch normalisation; trains nothing.

    ``'batch'`` is BN adaptation as in `Evaluating Prediction-Time Batch Normalization
    <https://arxiv.org/abs/2006.10963>`_; ``'mixed'`` mixes them with the source's, as
    in `Improving robustness against common corruptions
    <https://arxiv.org/abs/2006.16971>`_; ``'ema'`` keeps the mixture as the next
    image's running statistics.

    Dropout and drop path stay off. The "BN Stats Adapt" row of the tables on ACDC was
    made in train mode, so with both on.

    Args:
        statistics: ``'batch'``, ``'mixed'``, ``'ema'``, or ``'source'`` for none.
        mixing: Weight of the batch's own statistics, from 0 (the source) to 1; by
            default 1 for ``'batch'``, 0.1 for ``'mixed'``, 0.05 for ``'ema'``.
        **common: See `AdaptDistiller`.

    Raises:
        ConfigError: The network has no batch normalisation.
    """

    trains: ClassVar[bool] = False

    def __init__(
        self, statistics: str = 'batch', mixing: float | None = None, **common: Any
    ) -> None:
        super().__init__(**common)
        self.statistics, self.mixing = statistics, mixing_of(statistics, mixing)

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Replaces the batch normalisation of the student."""
        super().prepare(student, source)
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


def mixing_of(statistics: str, mixing: float | None) -> float:
    """Returns the weight of the batch's statistics, checked."""
    check_choice('statistics', statistics, MIXING)
    if mixing is None:
        return MIXING[statistics]
    check_range('mixing', mixing, ge=0, le=1)
    return mixing
