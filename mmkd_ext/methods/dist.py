r"""DIST: Knowledge Distillation from A Stronger Teacher.

Huang, You, Wang, Qian, Xu, NeurIPS 2022, `arXiv 2205.10536
<https://arxiv.org/abs/2205.10536>`_. A response method: instead of the teacher's exact
probabilities the student learns their correlation, over the classes of each sample and
over the samples of each class, which a much stronger teacher can still show.

Recipe: ``beta=gamma=1``; classification weight 2, ``tau`` 1 (ImageNet) or 4
(CIFAR-100); segmentation weight 1 on the main logits and 0.4 on the auxiliary ones,
``tau=1``; detection weight 1, on the class scores of the student's proposals (of a
cascade's first stage), or of a dense head with ``activation='sigmoid'``, where a row is
a position with the scores of all its priors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmkd_ext.errors import ShapeError, check_choice, check_range, check_shapes
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = ['DISTLoss', 'pearson']

# The authors' constant, added to the product of two norms: a constant side has
# correlation 0 instead of 0 / 0.
_EPS = 1e-8


def pearson(student: Tensor, teacher: Tensor, *, dim: int) -> Tensor:
    r"""Returns Pearson's correlation along an axis.

    .. math::
        r = \frac{\langle s - \bar s, t - \bar t \rangle}
                 {\|s - \bar s\| \, \|t - \bar t\| + 10^{-8}}

    Eq. (6) of the paper, with the constant of the authors' code: the correlation of
    sides that hardly vary is drawn towards 0, and of a constant side, as in a batch of
    one, it is 0 with no gradient.

    Args:
        student: Values of any shape.
        teacher: Values of the same shape.
        dim: Axis along which they vary; it is gone from the result.

    Returns:
        Correlation in [-1, 1].

    Raises:
        ShapeError: The shapes differ.

    Examples:
        >>> row = torch.tensor([[1.0, 2.0, 4.0]])
        >>> pearson(3 * row + 1, row, dim=1)
        tensor([1.0000])
    """
    if student.shape != teacher.shape:
        raise ShapeError(
            f'`student` {tuple(student.shape)} and `teacher` {tuple(teacher.shape)} '
            'differ in shape.'
        )
    s = student - student.mean(dim, keepdim=True)
    t = teacher - teacher.mean(dim, keepdim=True)
    norms = torch.linalg.vector_norm(s, dim=dim) * torch.linalg.vector_norm(t, dim=dim)
    correlation: Tensor = (s * t).sum(dim) / (norms + _EPS)
    return correlation


@MODELS.register_module()
class DISTLoss(PairLoss):
    r"""One minus the correlation within samples and within classes.

    .. math::
        L = \tau^2 \Big( \frac{\beta}{N} \sum_n 1 - r(y^S_{n:}, y^T_{n:})
            + \frac{\gamma}{C} \sum_c 1 - r(y^S_{:c}, y^T_{:c}) \Big), \quad
        y = \operatorname{softmax}_c(z / \tau)

    with :func:`pearson`. In maps ``(n c h w)`` each position is a sample, as in the
    authors' code; mmrazor's ``DISTLoss`` correlates over the `n` images of each pixel
    and averages over what is left.

    A batch of one sample adds the constant :math:`\tau^2 \gamma` with no gradient, and
    equal sides have loss 0 only where both vary. Logits of one channel never vary over
    classes, so they are refused unless that term is left out:
    ``activation='sigmoid', beta=0``.

    Args:
        beta: Weight of the correlation within a sample, >= 0.
        gamma: Weight of the correlation within a class over the batch, >= 0.
        tau: Temperature, > 0.
        activation: ``'softmax'``, or ``'sigmoid'`` for heads whose classes are
            independent.
        policy: See :class:`~mmkd_ext.methods.PairLoss`. The items are the samples: each
            one's own term plus the batch's term over classes.
    """

    def __init__(
        self,
        beta: float = 1.0,
        gamma: float = 1.0,
        tau: float = 1.0,
        activation: str = 'softmax',
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_range('beta', beta, ge=0)
        check_range('gamma', gamma, ge=0)
        check_range('tau', tau, gt=0)
        check_choice('activation', activation, ('softmax', 'sigmoid'))
        self.beta, self.gamma, self.tau = beta, gamma, tau
        self.activation = activation

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the value of each sample ``(n)`` or position ``(n h w)``."""
        pattern = 'n c h w' if student.dim() == 4 else 'n c'
        check_shapes(student=(student, pattern), teacher=(teacher, pattern))
        self.check_pair(student, teacher)
        s, t = self._activated(student), self._activated(teacher)
        within_sample = 1 - pearson(s, t, dim=1)
        within_class = 1 - pearson(
            s.movedim(1, 0).flatten(1), t.movedim(1, 0).flatten(1), dim=1
        )
        whole = self.beta * within_sample + self.gamma * within_class.mean()
        return self.tau**2 * whole

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where there is one channel, over which nothing correlates."""
        without_classes = self.activation == 'sigmoid' and not self.beta
        if student.dim() < 2 or student.shape[1] != 1 or without_classes:
            return
        raise ShapeError(
            f'`student` {tuple(student.shape)} has 1 channel, and over one class there '
            "is no correlation. Set activation='sigmoid', beta=0 to learn the one over "
            'positions, or use `mmkd_ext.KDLoss`.'
        )

    def _activated(self, logits: Tensor) -> Tensor:
        logits = logits / self.tau
        return logits.sigmoid() if self.activation == 'sigmoid' else logits.softmax(1)
