r"""Tf-KD: Revisiting Knowledge Distillation via Label Smoothing Regularization.

Yuan, Tay, Li, Wang, Feng, CVPR 2020, `arXiv 1909.11723
<https://arxiv.org/abs/1909.11723>`_. A response method without a better teacher: it is
the same network, trained before (`TfKDSelfLoss`), or a distribution that is made of the
label alone (`TfKDVirtualLoss`).

Recipe: classification, ``a`` on the term and ``1 - a`` on the cross entropy, and a
multiplier `m`; here ``loss_weight = a m``, and ``1 - a`` is the weight of the head's
own loss. Virtual teacher on CIFAR-100, as ``(tau, a, m)``: ResNet-18 (20, 0.1, 100),
MobileNetV2 (40, 0.95, 1), ShuffleNetV2 (10, 0.95, 1), GoogLeNet (40, 0.1, 50). Self
teacher: ResNet-18 (6, 0.95, 50), MobileNetV2 (20, 0.95, 1). The paper has no
segmentation; ``mmkd_ext.TfKDVirtualPixelLoss`` takes each labelled pixel as a sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from mmkd_ext.errors import check_integer, check_range, check_shapes
from mmkd_ext.functional.divergence import class_divergence
from mmkd_ext.methods._base import PairLoss, StudentLoss, at_least_float32
from mmkd_ext.methods._labels import (
    Classes,
    check_classes,
    class_indices,
    labelled_pixels,
)
from mmkd_ext.registry import MODELS

__all__ = [
    'TfKDSelfLoss',
    'TfKDVirtualLoss',
    'TfKDVirtualPixelLoss',
    'virtual_teacher_divergence',
]


def virtual_teacher_divergence(
    student: Tensor, labels: Tensor, *, correct: float = 0.99, tau: float = 20.0
) -> Tensor:
    r"""Returns the KL divergence from the virtual teacher of each sample's label.

    The virtual teacher says `a` for the class of the label `y` and
    :math:`b = (1 - a) / (K - 1)` for each other one. As in the authors' code these
    probabilities pass through a softmax at temperature :math:`\tau` once more, which
    leaves little of their difference; the student has no temperature.

    .. math::
        p_y = \frac{e^{a / \tau}}{e^{a / \tau} + (K - 1) e^{b / \tau}}, \quad
        p_o = \frac{e^{b / \tau}}{e^{a / \tau} + (K - 1) e^{b / \tau}}, \quad
        D_n = p_y \log \frac{p_y}{q_y} + p_o \sum_{c \ne y} \log \frac{p_o}{q_c}

    It depends on the label only through these two numbers, so there is no tensor for
    the teacher.

    Args:
        student: Logits ``(n c)``.
        labels: Index of the class of each row ``(n)``. Not checked.
        correct: Probability `a` of the class of the label, in [0, 1].
        tau: Temperature of the virtual teacher, > 0.

    Returns:
        Divergence of each sample in nats, never negative, ``(n)``.

    Raises:
        ShapeError: There is not one label for each row, or one class only.
        ConfigError: ``correct`` or ``tau`` is out of range.

    Examples:
        >>> virtual_teacher_divergence(torch.zeros(1, 2), torch.tensor([0]), tau=1.0)
        tensor([0.1070])
    """
    sizes = check_shapes(student=(student, 'n c'), labels=(labels, 'n'))
    check_classes(student)
    check_range('correct', correct, ge=0, le=1)
    check_range('tau', tau, gt=0)
    classes = sizes['c']
    # log p of the label's class and of each other one
    apart = (correct - (1 - correct) / (classes - 1)) / tau
    rest = -_log_add(apart, math.log(classes - 1))
    sure = apart + rest
    log_q = student.log_softmax(1)
    target = log_q.gather(1, labels.unsqueeze(1)).squeeze(1)
    others = log_q.sum(1) - target
    own = math.exp(sure) * (sure - target)
    return own + math.exp(rest) * ((classes - 1) * rest - others)


def _log_add(a: float, b: float) -> float:
    """Log of the sum of two numbers that are given by their logs."""
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))


class _VirtualTeacher(StudentLoss):
    """Base of both: rows ``(n c)`` with their labels to divergences."""

    def __init__(self, correct: float = 0.99, tau: float = 20.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('correct', correct, ge=0, le=1)
        check_range('tau', tau, gt=0)
        self.correct, self.tau = correct, tau

    def _of_rows(self, student: Tensor, labels: Tensor) -> Tensor:
        divergence = virtual_teacher_divergence(
            student, labels, correct=self.correct, tau=self.tau
        )
        return divergence / student.shape[1]


@MODELS.register_module()
class TfKDVirtualLoss(_VirtualTeacher):
    """Divergence from a teacher that is made of the label, a mean over samples.

    See :func:`virtual_teacher_divergence`; as in the authors' code, whose weights are
    tuned with it, the divergence is divided by the number of classes, and there is no
    ``tau**2``. No link needs a teacher then: ``model.teachers={}``.

    Args:
        correct: Probability of the class of the label, in [0, 1].
        tau: Temperature of the virtual teacher, > 0.
        policy: `loss_weight` and `reduction`, see :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> loss = TfKDVirtualLoss(tau=20.0, loss_weight=10.0)
        >>> loss(torch.zeros(2, 4), labels=torch.tensor([0, 3])) > 0
        tensor(True)
    """

    def forward(self, preds_S: Tensor, labels: Classes) -> Tensor:
        """Returns the weighted loss.

        Args:
            preds_S: Student's logits ``(n c)``.
            labels: Index of the class of each row ``(n)``, or the samples of the batch.
        """
        check_shapes(preds_S=(preds_S, 'n c'))
        with torch.autocast(preds_S.device.type, enabled=False):
            student = at_least_float32(preds_S)
            indices = class_indices(labels, student)
            return self.finish(self._of_rows(student, indices))


@MODELS.register_module()
class TfKDVirtualPixelLoss(_VirtualTeacher):
    """Divergence from a teacher that is made of the label, a mean over labelled pixels.

    As `TfKDVirtualLoss`, with the labelled pixels of the batch as samples. Labels are
    those of the nearest pixel at the size of the logits. The paper has no segmentation:
    this use is ours.

    Args:
        correct: Probability of the class of the label, in [0, 1].
        tau: Temperature of the virtual teacher, > 0.
        ignore_index: Label of the pixels that are left out, as negative ones are.
        policy: As for `TfKDVirtualLoss`. The items are all pixels, 0 where they are
            left out and scaled so that their ``'mean'`` is one over the labelled ones.
    """

    def __init__(
        self,
        correct: float = 0.99,
        tau: float = 20.0,
        *,
        ignore_index: int = 255,
        **policy: Any,
    ) -> None:
        super().__init__(correct, tau, **policy)
        check_integer('ignore_index', ignore_index)
        self.ignore_index = ignore_index

    def forward(self, preds_S: Tensor, data_samples: Sequence[Any]) -> Tensor:
        """Returns the weighted loss.

        Args:
            preds_S: Student's logits ``(n c h w)``.
            data_samples: The samples of the batch, with their label maps.
        """
        check_shapes(preds_S=(preds_S, 'n c h w'))
        with torch.autocast(preds_S.device.type, enabled=False):
            student = at_least_float32(preds_S)
            pixels = labelled_pixels(
                data_samples, student, ignore_index=self.ignore_index
            )
            items = self._of_rows(pixels.rows(student), pixels.labels)
            return self.finish(pixels.spread(items))


@MODELS.register_module()
class TfKDSelfLoss(PairLoss):
    r"""KL divergence from the same network trained before, a mean over all elements.

    .. math:: L = \frac{1}{N C} \sum_n D_n

    with :func:`~mmkd_ext.functional.class_divergence`. That is `KDLoss` divided by the
    number of classes, as in the authors' code, whose weights are tuned with it. On
    dense logits every pixel is a sample.

    Args:
        tau: Temperature, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'size'})

    def __init__(self, tau: float = 6.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        self.tau = tau

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence of each sample ``(n)`` or pixel, a class's share."""
        divergence = class_divergence(student, teacher, tau=self.tau)
        return divergence / student.shape[1]
