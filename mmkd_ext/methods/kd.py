r"""KD: Distilling the Knowledge in a Neural Network.

Hinton, Vinyals, Dean, 2015, `arXiv 1503.02531 <https://arxiv.org/abs/1503.02531>`_. A
response method: the student's class distribution follows the teacher's, both softened
by a temperature. On dense logits every pixel is a sample (pixel-wise distillation).

Recipe: segmentation logits at ``decode_head.conv_seg``, ``tau=1``, weight 1, as the
pixel term of CIRKD (CVPR 2022); classification logits, ``tau=4``, weight 0.9 with 0.1
on the cross entropy, as RepDistiller does on CIFAR-100; class scores of a two-stage
detector's proposals, ``tau=1``, weight 1.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.functional.divergence import class_divergence
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._rows import RowExtra, compute_rows, valid_rows
from mmkd_ext.registry import MODELS

__all__ = ['KDLoss']


@MODELS.register_module()
class KDLoss(PairLoss):
    """KL divergence of the softened classes, a mean over samples and pixels.

    See :func:`~mmkd_ext.functional.class_divergence`. mmrazor's ``KLDivergence``
    divides by ``N`` alone (``'batchmean'``, ``HW`` times more) or by ``N C H W``
    (``'mean'``, ``C`` times less); multiply `loss_weight` accordingly when you port
    such a config.

    Rows ``(n c)`` may come with `labels` and `label_weights` ``(n)`` from a detector, a
    tensor for all levels or a tuple with one for each; then only rows count whose label
    is one of the columns and whose weight is above 0. In a sigmoid head, which has no
    column for the background, these are the positive ones, as in the classification
    term of LD, whose mean is over the `C` classes too: its weight 10 is ``10 / C``
    here.

    Args:
        tau: Temperature, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> KDLoss(tau=4.0)(torch.zeros(2, 19, 8, 8), torch.zeros(2, 19, 8, 8))
        tensor(0.)
    """

    def __init__(self, tau: float = 1.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        self.tau = tau

    def compute_levels(  # type: ignore[override]
        self,
        levels: list[tuple[Tensor, Tensor]],
        labels: RowExtra = None,
        label_weights: RowExtra = None,
    ) -> list[Tensor]:
        """Returns the items of each level, with its own labels and weights."""
        return compute_rows(
            self.compute, levels, labels=labels, label_weights=label_weights
        )

    def compute(  # type: ignore[override]
        self,
        student: Tensor,
        teacher: Tensor,
        labels: Tensor | None = None,
        label_weights: Tensor | None = None,
    ) -> Tensor:
        """Returns the divergence of each sample ``(n)`` or pixel ``(n h w)``."""
        if labels is not None or label_weights is not None:
            check_shapes(student=(student, 'n c'), teacher=(teacher, 'n c'))
            rows = valid_rows(student, labels, label_weights)
            student, teacher = student[rows], teacher[rows]
        return class_divergence(student, teacher, tau=self.tau)
