r"""DKD: Decoupled Knowledge Distillation.

Zhao, Cui, Song, Qiu, Liang, CVPR 2022, `arXiv 2203.08679
<https://arxiv.org/abs/2203.08679>`_. A response method: the divergence of the classes
falls apart into how sure the teacher is of the target, and how it ranks the others. In
the whole the second is weighted by how unsure the teacher is, so a sure teacher teaches
little of it; here it has a weight of its own.

Recipe: two-stage detectors, class scores of the student's own proposals,
``alpha=1``, ``beta=0.25``, ``tau=1``. Classification, ``alpha=1``: CIFAR-100
``tau=4``, ``beta`` 2, 6 or 8, warm-up over 20 epochs; ImageNet ``tau=1``, ``beta`` 0.5
(ResNet34 to 18) or 2 (ResNet50 to MobileNet), warm-up over one epoch. A warm-up is the
link's ``schedule=dict(type='linear', end=20, by_epoch=True)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.functional.decoupled import decoupled_divergence
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._rows import compute_rows, counted_rows
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

    from mmkd_ext.methods._rows import RowExtra

__all__ = ['DKDLoss']


@MODELS.register_module()
class DKDLoss(PairLoss):
    r"""Divergence of target and other classes, each with its weight, a mean over rows.

    .. math::
        L = \frac{1}{|R|} \sum_{n \in R} \alpha D_n^{\text{target}}
            + \beta D_n^{\text{other}}

    with the two parts of :func:`~mmkd_ext.functional.decoupled_divergence`. `R` are
    the rows that count: those whose label is one of the columns and, where
    `label_weights` are given, whose weight is above 0. Softmax heads, as that of Faster
    R-CNN, have the background as last column, and background rows count as in the
    paper. Sigmoid heads, as those of dense detectors, have no such column, so only
    positive rows count, and the softmax is over their classes. The paper has no dense
    detector; that reading is ours, after the classification term of LD.

    mmrazor's ``DKDLoss`` sums the rows where it is told to take the mean, offsets the
    target by -1000 instead of masking it, and takes the log of a softmax, which may be
    minus infinity; on rows of usual size it agrees with
    ``DKDLoss(reduction='sum')``, or with the mean through ``'batchmean'``.

    Args:
        alpha: Weight of the target class, >= 0.
        beta: Weight of the other classes, >= 0.
        tau: Temperature, > 0.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`. The items are the rows that count;
            where none does, the loss is 0.

    Examples:
        >>> import torch
        >>> labels = torch.tensor([0, 2])
        >>> DKDLoss(beta=0.25)(torch.zeros(2, 3), torch.zeros(2, 3), labels=labels)
        tensor(0.)
    """

    aligns: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, alpha: float = 1.0, beta: float = 1.0, tau: float = 1.0, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('alpha', alpha, low=0)
        check_range('beta', beta, low=0)
        check_range('tau', tau, above=0)
        self.alpha, self.beta, self.tau = alpha, beta, tau

    def compute_levels(  # type: ignore[override]
        self,
        levels: list[tuple[Tensor, Tensor]],
        labels: RowExtra,
        label_weights: RowExtra = None,
    ) -> list[Tensor]:
        """Returns the items of each level.

        Args:
            levels: Logits ``(n c)`` of both sides.
            labels: Index of the class of each row, ``(n)``; a tuple has one for each
                level, a tensor is for all.
            label_weights: Weight of each row, ``(n)``, in the same form.
        """
        return compute_rows(
            self.compute, levels, labels=labels, label_weights=label_weights
        )

    def compute(  # type: ignore[override]
        self,
        student: Tensor,
        teacher: Tensor,
        labels: Tensor,
        label_weights: Tensor | None = None,
    ) -> Tensor:
        """Returns the weighted divergence of each row that counts."""
        check_shapes(student=(student, 'n c'), teacher=(teacher, 'n c'))
        rows = counted_rows(student, labels, label_weights)
        target, other = decoupled_divergence(
            student[rows], teacher[rows], labels[rows], tau=self.tau
        )
        return self.alpha * target + self.beta * other
