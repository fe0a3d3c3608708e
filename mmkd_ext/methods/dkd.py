r"""DKD: Decoupled Knowledge Distillation.

Zhao, Cui, Song, Qiu, Liang, CVPR 2022, `arXiv 2203.08679
<https://arxiv.org/abs/2203.08679>`_. A response method: the divergence of the classes
falls apart into how sure the teacher is of the target, and how it ranks the others. In
the whole the second is weighted by how unsure the teacher is, so a sure teacher teaches
little of it; here it has a weight of its own.

Recipe: two-stage detectors, class scores of the student's own proposals,
``alpha=1``, ``beta=0.25``, ``tau=1``. Classification, ``alpha=1``: CIFAR-100
``tau=4``, ``beta`` 2, 6 or 8, warm-up over 20 epochs; ImageNet ``tau=1``, ``beta`` 0.5
(ResNet34 to 18) or 2 (ResNet50 to MobileNet), no warm-up. The authors count epochs from
1, so the weight is 1/20, 2/20, ... from the first epoch, which is the link's
``schedule=dict(type='linear', start=1/20, end=19, by_epoch=True)``. The paper has no
segmentation; ``mmkd_ext.DKDPixelLoss`` takes each labelled pixel as a sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.errors import ShapeError, check_integer, check_range, check_shapes
from mmkd_ext.functional.decoupled import decoupled_divergence
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._labels import labelled, labels_at
from mmkd_ext.methods._rows import compute_rows, valid_rows
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mmkd_ext.methods._rows import RowExtra

__all__ = ['DKDLoss', 'DKDPixelLoss']


class _DecoupledLoss(PairLoss):
    """Base of both: rows ``(n c)`` with their labels to weighted divergences."""

    def __init__(
        self, alpha: float = 1.0, beta: float = 1.0, tau: float = 1.0, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('alpha', alpha, low=0)
        check_range('beta', beta, low=0)
        check_range('tau', tau, above=0)
        self.alpha, self.beta, self.tau = alpha, beta, tau

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where there is no class beside the target."""
        if student.dim() > 1 and student.shape[1] < 2:
            raise ShapeError(
                f'`student` {tuple(student.shape)} has {student.shape[1]} channel(s), '
                'but beside the target there must be another class. Of one class '
                '`mmkd_ext.KDLoss` compares the sigmoids.'
            )

    def _of_rows(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        target, other = decoupled_divergence(student, teacher, labels, tau=self.tau)
        return self.alpha * target + self.beta * other


@MODELS.register_module()
class DKDLoss(_DecoupledLoss):
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

    alignable: ClassVar[frozenset[str]] = frozenset()

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
        rows = valid_rows(student, labels, label_weights)
        return self._of_rows(student[rows], teacher[rows], labels[rows])


@MODELS.register_module()
class DKDPixelLoss(_DecoupledLoss):
    r"""Divergence of target and other classes at each pixel, a mean of those labelled.

    .. math::
        L = \frac{1}{|P|} \sum_{i \in P} \alpha D_i^{\text{target}}
            + \beta D_i^{\text{other}}

    with the two parts of :func:`~mmkd_ext.functional.decoupled_divergence`, where `P`
    are the pixels of the batch whose label is not `ignore_index`. Labels are those of
    the nearest pixel at the size of the logits. The paper has no segmentation: this use
    is ours.

    Args:
        alpha: Weight of the target class, >= 0.
        beta: Weight of the other classes, >= 0.
        tau: Temperature, > 0.
        ignore_index: Label of the pixels that are left out; below 0 they are, too.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`. The items are all pixels, 0 where they
            are left out and scaled so that their ``'mean'`` is the equation; where no
            pixel counts, the loss is 0.

    Examples:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> truth = torch.tensor([[[0, 255]]])
        >>> samples = [SimpleNamespace(gt_sem_seg=SimpleNamespace(data=truth))]
        >>> student, teacher = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
        >>> teacher[0, 0, 0, 1] = 9  # nothing asks for this pixel
        >>> DKDPixelLoss(beta=0.25)(student, teacher, data_samples=samples)
        tensor(0.)
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 1.0,
        tau: float = 1.0,
        *,
        ignore_index: int = 255,
        **policy: Any,
    ) -> None:
        super().__init__(alpha, beta, tau, **policy)
        check_integer('ignore_index', ignore_index)
        self.ignore_index = ignore_index

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, data_samples: Sequence[Any]
    ) -> Tensor:
        """Returns the weighted divergence at each pixel ``(n h w)``, see the class.

        Args:
            student: Logits ``(n k h w)``.
            teacher: Logits ``(n k h w)``.
            data_samples: For each image an object with ``gt_sem_seg.data``.

        Raises:
            ShapeError: An axis differs.
            ConfigError: A label is above the number of classes.
        """
        check_shapes(student=(student, 'n k h w'), teacher=(teacher, 'n k h w'))
        self.check_pair(student, teacher)
        labels = labels_at(data_samples, student)
        counts = labelled(labels, student.shape[1], ignore_index=self.ignore_index)
        student, teacher = (x.permute(0, 2, 3, 1)[counts] for x in (student, teacher))
        found = self._of_rows(student, teacher, labels[counts])
        # a mean over all items is then one over the pixels that count
        scale = counts.numel() / max(len(found), 1)
        return found.new_zeros(labels.shape).index_put((counts,), found * scale)
