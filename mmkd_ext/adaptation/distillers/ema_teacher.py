"""EMA self-training: the average of the past students labels the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.adaptation.batch import Skip
from mmkd_ext.adaptation.distillers._teacher import TeacherDistiller
from mmkd_ext.adaptation.pseudo_labels import (
    IGNORE,
    hard_cross_entropy,
    hard_labels,
    soft_cross_entropy,
    weighted_mean,
)
from mmkd_ext.errors import check_choice, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

    from mmkd_ext.adaptation.batch import Batch
    from mmkd_ext.adaptation.trainable import Trainable

__all__ = ['EMATeacherDistiller']


@MODELS.register_module()
class EMATeacherDistiller(TeacherDistiller):
    r"""Trains the student on the labels of a moving average of itself.

    .. math::
        L = -\frac{1}{N} \sum_i \sum_k y_{ik} \log p^s_{ik}, \qquad
        \theta_t \leftarrow d\, \theta_t + (1 - d)\, \theta_s

    Mean teacher (`Tarvainen & Valpola, 2017 <https://arxiv.org/abs/1703.01780>`_) on a
    stream: no anchor, no restore. What CoTTA, RoTTA and DoSe have more than this is
    what they are compared for.

    Args:
        decay: What the teacher keeps of itself in an update.
        labels: ``'hard'`` or ``'soft'`` pseudo-labels.
        threshold: Pixels whose class is less likely count for nothing.
        buffers: What becomes of the teacher's running statistics, see `EMATeacher`.
        trainable: What is adapted, see `AdaptDistiller`.
        **common: Likewise; the teacher answers with the mean over `views`.
    """

    settings: ClassVar[tuple[str, ...]] = ('labels', 'threshold')

    def __init__(
        self,
        decay: float = 0.999,
        labels: str = 'hard',
        threshold: float = 0.0,
        buffers: str = 'copy',
        *,
        trainable: Trainable = 'all',
        **common: Any,
    ) -> None:
        super().__init__(decay, buffers, trainable=trainable, **common)
        check_choice('labels', labels, ('hard', 'soft'))
        check_range('threshold', threshold, ge=0, le=1)
        self.labels, self.threshold = labels, threshold

    def compute_losses(self, batch: Batch) -> dict[str, Tensor] | Skip:
        """Returns the cross entropy with the teacher's labels, over what counts."""
        scores = self.reported(batch)
        probabilities = scores.softmax(1)
        labels = hard_labels(probabilities, self.threshold)
        weights = self.selected(scores)
        counted = labels != IGNORE
        weights = counted if weights is None else weights * counted
        if not weights.any():
            return Skip('no pixel is certain enough')
        logits = self.first_logits(batch)
        each = (
            hard_cross_entropy(logits, labels)
            if self.labels == 'hard'
            else soft_cross_entropy(logits, probabilities)
        )
        return {'loss_ce': weighted_mean(each, weights)}
