r"""WSLD: Rethinking Soft Labels for Knowledge Distillation.

Zhou, Song, Chen, Zhou, Wang, Yuan, Zhang, ICLR 2021, `arXiv 2102.00650
<https://arxiv.org/abs/2102.00650>`_. A response method: on some samples soft labels act
as a regulariser, on others they mislead. A sample counts more, the worse the student
predicts its class in comparison with the teacher.

Recipe: classification logits on ImageNet, ``tau=2``, ``loss_weight=2.5`` beside the
cross entropy of weight 1. The paper has no segmentation; ``mmkd_ext.WSLDPixelLoss``
takes each labelled pixel as a sample.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._labels import (
    Classes,
    LabelledPixelsLoss,
    check_classes,
    class_indices,
)
from mmkd_ext.registry import MODELS

__all__ = ['WSLDLoss', 'WSLDPixelLoss', 'soft_label_weight']

# As the authors add it, so that a teacher that is wholly sure divides by no zero.
_EPS = 1e-7


def soft_label_weight(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    r"""Returns how much the soft label of each sample counts.

    .. math::
        w_n = 1 - \exp\left( -\frac{H^S_n}{H^T_n + 10^{-7}} \right), \quad
        H_n = -\log \operatorname{softmax}(z_n)_{y_n}

    Args:
        student: Logits ``(n c)``.
        teacher: Logits ``(n c)``.
        labels: Index of the class of each row ``(n)``. Not checked.

    Returns:
        Weights ``(n)`` from 0 to 1, without a gradient.

    Raises:
        ShapeError: An axis differs.

    Examples:
        >>> x = torch.zeros(1, 4)
        >>> soft_label_weight(x, x, torch.tensor([0]))
        tensor([0.6321])
    """
    check_shapes(
        student=(student, 'n c'), teacher=(teacher, 'n c'), labels=(labels, 'n')
    )
    ours, theirs = (
        F.cross_entropy(z.detach(), labels, reduction='none')
        for z in (student, teacher)
    )
    return -torch.expm1(-ours / (theirs + _EPS))


class _WeightedSoftLabels(PairLoss):
    """Base of both: rows ``(n c)`` with their labels to weighted cross entropies."""

    def __init__(self, tau: float = 2.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        self.tau = tau

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where there is one class only."""
        check_classes(student)

    def _of_rows(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        weight = soft_label_weight(student, teacher, labels)
        soft = (teacher / self.tau).softmax(1)
        entropy = -(soft * (student / self.tau).log_softmax(1)).sum(1)
        return self.tau**2 * weight * entropy


@MODELS.register_module()
class WSLDLoss(_WeightedSoftLabels):
    r"""Cross entropy with the teacher's soft labels, weighted sample by sample.

    .. math::
        L = \frac{\tau^2}{N} \sum_n w_n \sum_c -p_{nc} \log q_{nc}

    with `w` of :func:`soft_label_weight` and `p`, `q` the softmax of teacher and
    student at temperature :math:`\tau`. As in the authors' code it is the cross entropy
    and not the divergence, so it is not 0 where both agree. mmrazor's ``WSLD`` takes
    the number of classes as an argument, 1000 by default; here it is that of the
    logits.

    Args:
        tau: Temperature, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> x = torch.zeros(2, 3)
        >>> WSLDLoss(tau=1.0)(x, x, labels=torch.tensor([0, 2]))  # (1 - 1/e) log 3
        tensor(0.6945)
    """

    alignable: ClassVar[frozenset[str]] = frozenset()

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, labels: Classes
    ) -> Tensor:
        """Returns the weighted cross entropy of each sample ``(n)``.

        Args:
            student: Logits ``(n c)``.
            teacher: Logits ``(n c)``.
            labels: Index of the class of each row ``(n)``, or the samples of the batch.
        """
        check_shapes(student=(student, 'n c'), teacher=(teacher, 'n c'))
        self.check_pair(student, teacher)
        return self._of_rows(student, teacher, class_indices(labels, student))


@MODELS.register_module()
class WSLDPixelLoss(_WeightedSoftLabels, LabelledPixelsLoss):
    """Cross entropy with the teacher's soft labels, weighted pixel by pixel.

    As `WSLDLoss`, with the labelled pixels of the batch as samples. Labels are those of
    the nearest pixel at the size of the logits. The paper has no segmentation: this use
    is ours.

    Args:
        tau: Temperature, > 0.
        ignore_index: Label of the pixels that are left out, as negative ones are.
        policy: See :class:`~mmkd_ext.methods.PairLoss`. The items are all pixels, 0
            where they are left out and scaled so that their ``'mean'`` is one over the
            labelled ones; without any the loss is 0.
    """
