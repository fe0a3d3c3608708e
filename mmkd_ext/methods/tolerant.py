r"""TSD: Training Deep Neural Networks in Generations.

Yang, Xie, Qiao, Yuille, "A More Tolerant Teacher Educates Better Students", AAAI 2019,
`arXiv 1805.05551 <https://arxiv.org/abs/1805.05551>`_. A way to train the teacher: a
term makes it leave more of its score to the classes next to the best, so that it has
more to teach.

Recipe: ``eta`` on the teacher's cross entropy and ``1 - eta`` on this term; here
``loss_weight = 1 - eta``, and ``eta`` is the weight of the head's own loss. Then the
student, of the same network, learns from it by ``mmkd_ext.KDLoss`` at ``tau=1``.
Inspired by the paper: there is no code of the authors, and this follows an account of
it. ``k=5`` and ``eta=0.6`` are not verified. Which score is the primary one is
ambiguous, that of the label or the highest; here it is the highest, so no label is
needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmkd_ext.errors import ShapeError, check_integer
from mmkd_ext.methods._base import StudentLoss, at_least_float32
from mmkd_ext.registry import MODELS

__all__ = ['TolerantTeacherLoss', 'top_score_difference']


def top_score_difference(logits: Tensor, *, k: int = 5) -> Tensor:
    r"""Returns how far the highest score is above the next ones.

    .. math::
        D = f_{(1)} - \frac{1}{k - 1} \sum_{i=2}^{k} f_{(i)}, \quad
        f = \operatorname{softmax}(z), \; f_{(1)} \ge f_{(2)} \ge \dots

    Args:
        logits: Logits ``(n c)`` or ``(n c h w)``.
        k: How many of the highest scores are looked at, from 2 to ``c``.

    Returns:
        Difference for each sample ``(n)`` or pixel ``(n h w)``, from 0 to 1.

    Raises:
        ShapeError: There are fewer classes than ``k``, or the logits are no rows or
            maps.
        ConfigError: ``k`` is no integer from 2.

    Examples:
        >>> top_score_difference(torch.tensor([[0.0, 0.0, 0.0], [99.0, 0.0, 0.0]]), k=3)
        tensor([0., 1.])
    """
    check_integer('k', k, ge=2)
    if logits.dim() not in (2, 4):
        raise ShapeError(
            f'logits must be (n c) or (n c h w), but are {tuple(logits.shape)}.'
        )
    if logits.shape[1] < k:
        raise ShapeError(
            f'logits {tuple(logits.shape)} are of {logits.shape[1]} classes, but the '
            f'{k} highest scores were asked for; set `k`.'
        )
    best = logits.softmax(1).topk(k, dim=1).values
    return best[:, 0] - best[:, 1:].mean(1)


@MODELS.register_module()
class TolerantTeacherLoss(StudentLoss):
    """Difference of the highest scores of a network that is to become a teacher.

    See :func:`top_score_difference`. The network is the *student* of such a training,
    which itself needs no teacher: ``model.teachers={}``. A mean over samples or pixels.

    Args:
        k: How many of the highest scores are looked at, from 2.
        policy: `loss_weight` and `reduction`, see :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> TolerantTeacherLoss(k=2)(torch.zeros(4, 10))
        tensor(0.)
    """

    def __init__(self, k: int = 5, **policy: Any) -> None:
        super().__init__(**policy)
        check_integer('k', k, ge=2)
        self.k = k

    def forward(self, preds_S: Tensor) -> Tensor:
        """Returns the weighted loss of logits ``(n c)`` or ``(n c h w)``."""
        with torch.autocast(preds_S.device.type, enabled=False):
            return self.finish(
                top_score_difference(at_least_float32(preds_S), k=self.k)
            )
