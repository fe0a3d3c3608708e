"""TENT: minimise the entropy of the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.adaptation.batch import Skip
from mmkd_ext.adaptation.distillers._statistics import StatisticsDistiller
from mmkd_ext.adaptation.pseudo_labels import (
    entropy,
    hard_cross_entropy,
    weighted_mean,
)
from mmkd_ext.errors import check_choice
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

    from mmkd_ext.adaptation.batch import Batch

__all__ = ['TentDistiller']


@MODELS.register_module()
class TentDistiller(StatisticsDistiller):
    """Makes the student more certain, by its normalisation layers.

    `Tent: Fully Test-Time Adaptation by Entropy Minimization, ICLR 2021
    <https://arxiv.org/abs/2006.10726>`_: batch statistics, scale and shift of the
    normalisation trained on the entropy of the prediction, which is reported as it was
    before the update.

    The "TENT-continual" row of the tables on ACDC (CoTTA) is another thing:
    ``loss='hard', statistics='source'``, Adam at 6e-5 / 8. It takes the student's own
    classes for labels, and needs no batch normalisation.

    Args:
        loss: ``'entropy'``, or ``'hard'`` for the cross entropy with the student's own
            classes.
        **common: `statistics` and `mixing` of `BNStatsDistiller`, and all of
            `AdaptDistiller`.

    Raises:
        ConfigError: Statistics other than the source's are asked for, and the network
            has no batch normalisation.
    """

    settings: ClassVar[tuple[str, ...]] = ('loss',)
    shares_forward: ClassVar[bool] = True

    def __init__(self, loss: str = 'entropy', **common: Any) -> None:
        super().__init__(**common)
        check_choice('loss', loss, ('entropy', 'hard'))
        self.loss = loss

    def compute_losses(self, batch: Batch) -> dict[str, Tensor] | Skip:
        """Returns the entropy, or the cross entropy with the student's own classes."""
        logits = self.first_logits(batch)
        weights = self.selected(logits)
        if weights is not None and not weights.any():
            return Skip('no pixel passed the filter')
        if self.loss == 'entropy':
            return {'loss_entropy': weighted_mean(entropy(logits), weights)}
        each = hard_cross_entropy(logits, logits.detach().argmax(1))
        return {'loss_ce': weighted_mean(each, weights)}
