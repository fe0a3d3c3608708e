r"""DKD: Decoupled Knowledge Distillation.

Zhao, Cui, Song, Qiu, Liang, CVPR 2022, `arXiv 2203.08679
<https://arxiv.org/abs/2203.08679>`_. A response method: the divergence of the classes
is split into how sure the teacher is of the target, and how it ranks the others. In the
whole divergence the second part is weighted by how unsure the teacher is, so a sure
teacher teaches little of it; here it has a weight of its own.

Recipe: two-stage detectors, class scores of the student's own proposals,
``alpha=1``, ``beta=0.25``, ``tau=1``. Classification, ``alpha=1``: CIFAR-100
``tau=4``, ``beta`` 2, 6 or 8, warm-up over 20 epochs; ImageNet ``tau=1``, ``beta`` 0.5
(ResNet34 to 18) or 2 (ResNet50 to MobileNet), no warm-up. The authors count epochs from
1, so the weight is 1/20, 2/20, ... from the first epoch, which is the link's
``schedule=dict(type='linear', start=1/20, end=19, by_epoch=True)``. The paper has no
segmentation; ``mmkd_ext.DKDPixelLoss`` takes each labelled pixel as a sample.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from mmkd_ext.errors import ShapeError, check_range, check_shapes
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._labels import LabelledPixelsLoss
from mmkd_ext.methods._rows import RowExtra, compute_rows, valid_rows
from mmkd_ext.registry import MODELS

__all__ = ['DKDLoss', 'DKDPixelLoss', 'decoupled_divergence']


def decoupled_divergence(
    student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float = 1.0
) -> tuple[Tensor, Tensor]:
    r"""Returns the KL divergence of the target class and of the other classes.

    TCKD and NCKD of the paper, with `p` and `q` the softmax of teacher and student over
    all classes at temperature :math:`\tau` and the target class `y`:

    .. math::
        D_n^{\text{target}} &= \tau^2 \Big( p_y \log \frac{p_y}{q_y}
            + (1 - p_y) \log \frac{1 - p_y}{1 - q_y} \Big) \\
        D_n^{\text{other}} &= \tau^2 \sum_{c \ne y} \hat p_c \log
            \frac{\hat p_c}{\hat q_c}, \quad \hat p_c = \frac{p_c}{1 - p_y}

    The whole divergence is :math:`D^{\text{target}} + (1 - p_y) D^{\text{other}}`.
    Computed in log space, with the target masked exactly instead of by a large negative
    offset, so it is finite however sure a side is.

    Args:
        student: Logits ``(n c)``.
        teacher: Logits ``(n c)``.
        labels: Index of the target class of each row, ``(n)``, from 0 to ``c - 1``.
            Not checked, since that would wait for the device.
        tau: Temperature, > 0.

    Returns:
        Both divergences of each row in nats, times ``tau**2``, ``(n)`` and ``(n)``,
        never negative.

    Raises:
        ShapeError: An axis differs, there are fewer than two classes, or the labels
            are no whole numbers.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> target, other = decoupled_divergence(
        ...     torch.zeros(1, 3), torch.tensor([[5.0, 0.0, 0.0]]), torch.tensor([0]))
        >>> other
        tensor([0.])
    """
    sizes = check_shapes(
        student=(student, 'n c'), teacher=(teacher, 'n c'), labels=(labels, 'n')
    )
    check_range('tau', tau, gt=0)
    if sizes['c'] < 2:
        raise ShapeError(
            f'`student` {tuple(student.shape)} has {sizes["c"]} class(es); beside the '
            'target there must be another one.'
        )
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ShapeError(
            f'`labels` must be indices of classes, but are {labels.dtype}; soft and '
            'mixed labels have no target class.'
        )
    dtype = torch.promote_types(student.dtype, teacher.dtype)
    index = labels.long().unsqueeze(1)
    is_target = torch.zeros_like(student, dtype=torch.bool).scatter_(1, index, True)
    target_q, other_q = _log_split(student.to(dtype) / tau, index, is_target)
    target_p, other_p = _log_split(teacher.to(dtype) / tau, index, is_target)
    target = (target_p.exp() * (target_p - target_q)).sum(1)
    # the target is -inf on both sides, and the difference of these no number
    apart = (other_p - other_q).masked_fill(is_target, 0)
    return tau**2 * target, tau**2 * (other_p.exp() * apart).sum(1)


def _log_split(
    logits: Tensor, index: Tensor, is_target: Tensor
) -> tuple[Tensor, Tensor]:
    """Logs of (target, not target) ``(n 2)``, and of the others among themselves."""
    others = logits.masked_fill(is_target, -torch.inf)
    rest = others.logsumexp(1, keepdim=True)
    binary = torch.cat([logits.gather(1, index), rest], 1)
    return binary.log_softmax(1), others - rest


class _DecoupledLoss(PairLoss):
    """Base of both: rows ``(n c)`` with their labels to weighted divergences."""

    def __init__(
        self, alpha: float = 1.0, beta: float = 1.0, tau: float = 1.0, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('alpha', alpha, ge=0)
        check_range('beta', beta, ge=0)
        check_range('tau', tau, gt=0)
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

    with :func:`decoupled_divergence`. `R` are the rows whose label is one of the
    columns and, where `label_weights` are given, whose weight is above 0. Both are
    ``(n)``, a tensor for all levels or a tuple with one for each. Softmax
    heads, as that of Faster R-CNN, have the background as last column, so background
    rows count as in the paper. Sigmoid heads, as those of dense detectors, have no such
    column, so only positive rows count, and the softmax is over their classes. The
    paper has no dense detector; that reading is ours, after the classification term of
    LD.

    mmrazor's ``DKDLoss`` sums the rows where it is told to take the mean, offsets the
    target by -1000 instead of masking it, and takes the log of a softmax, which may be
    minus infinity; on rows of usual size it agrees with
    ``DKDLoss(reduction='sum')``, or with the mean through ``'batchmean'``.

    Args:
        alpha: Weight of the target class, >= 0.
        beta: Weight of the other classes, >= 0.
        tau: Temperature, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`. The items are the rows of `R`;
            without any the loss is 0.
    """

    alignable: ClassVar[frozenset[str]] = frozenset()

    def compute_levels(  # type: ignore[override]
        self,
        levels: list[tuple[Tensor, Tensor]],
        labels: RowExtra,
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
        labels: Tensor,
        label_weights: Tensor | None = None,
    ) -> Tensor:
        """Returns the weighted divergence of each row that counts."""
        check_shapes(student=(student, 'n c'), teacher=(teacher, 'n c'))
        rows = valid_rows(student, labels, label_weights)
        return self._of_rows(student[rows], teacher[rows], labels[rows])


@MODELS.register_module()
class DKDPixelLoss(_DecoupledLoss, LabelledPixelsLoss):
    r"""Divergence of target and other classes, a mean over the labelled pixels.

    As `DKDLoss`, with pixels in the place of rows: those of the batch whose label is
    not `ignore_index`. Labels are those of the nearest pixel at the size of the logits.
    The paper has no segmentation: this use is ours.

    Args:
        alpha: Weight of the target class, >= 0.
        beta: Weight of the other classes, >= 0.
        tau: Temperature, > 0.
        ignore_index: Label of the pixels that are left out, as negative ones are.
        policy: See :class:`~mmkd_ext.methods.PairLoss`. The items are all pixels, 0
            where they are left out and scaled so that their ``'mean'`` is one over the
            labelled ones; without any the loss is 0.

    Examples:
        >>> from types import SimpleNamespace
        >>> truth = torch.tensor([[[0, 255]]])
        >>> samples = [SimpleNamespace(gt_sem_seg=SimpleNamespace(data=truth))]
        >>> student, teacher = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
        >>> teacher[0, 0, 0, 1] = 9  # an ignored pixel
        >>> DKDPixelLoss(beta=0.25)(student, teacher, data_samples=samples)
        tensor(0.)
    """
