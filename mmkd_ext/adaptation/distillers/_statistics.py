"""Base class of methods that choose the batch-norm statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.adaptation.mixing import AutoMixing, build_mixing
from mmkd_ext.adaptation.norms import learning, require_batch_norm
from mmkd_ext.errors import ConfigError, check_choice

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mmkd_ext.adaptation.batch import Batch
    from mmkd_ext.adaptation.mixing import Mixing

__all__ = ['MIXING', 'StatisticsDistiller']

#: Weight of the batch's statistics where the config gives none.
MIXING = {'source': 0.0, 'batch': 1.0, 'mixed': 0.1, 'ema': 0.05}


class StatisticsDistiller(AdaptDistiller):
    """Normalises the student with statistics of the stream.

    ``'batch'`` is BN adaptation as in `Evaluating Prediction-Time Batch Normalization
    <https://arxiv.org/abs/2006.10963>`_; ``'mixed'`` mixes them with the source's, as
    in `Improving robustness against common corruptions
    <https://arxiv.org/abs/2006.16971>`_; ``'ema'`` keeps the mixture as the next
    image's running statistics.

    Args:
        statistics: ``'batch'``, ``'mixed'``, ``'ema'``, or ``'source'`` for none.
        mixing: Weight of the batch's own statistics, from 0 (the source) to 1; by
            default 1 for ``'batch'``, 0.1 for ``'mixed'``, 0.05 for ``'ema'``.
            ``'auto'``, with ``'mixed'``, finds it: see `AutoMixing`.
        **common: See `AdaptDistiller`.

    Raises:
        ConfigError: Statistics other than the source's are asked for, and the network
            has no batch normalisation.
    """

    settings: ClassVar[tuple[str, ...]] = ('statistics',)

    def __init__(
        self,
        statistics: str = 'batch',
        mixing: Mixing | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        check_choice('statistics', statistics, MIXING)
        self.statistics = statistics
        self.mixing = build_mixing(MIXING[statistics] if mixing is None else mixing)
        if isinstance(self.mixing, AutoMixing) and statistics != 'mixed':
            raise ConfigError.at(
                'mixing',
                f"is searched for, which is for `statistics='mixed'`, not "
                f'{statistics!r}.',
            )

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Replaces the batch normalisation of the student, unless it stays."""
        super().prepare(student, source)
        if self.statistics != 'source':
            require_batch_norm(student, type(self).__name__)
            self.mix(student, keep=self.statistics == 'ema')

    def predict(self, batch: Batch) -> Tensor:
        """Predicts, and with ``'ema'`` keeps the statistics."""
        if self.statistics != 'ema':
            return self.run(self.student, batch.inputs)
        with learning(self.student):
            return self.run(self.student, batch.inputs)
