r"""Cosine: the direction of features, position by position.

What label-free pretraining from a frozen network compares (``mmkd distill
--features-only``): the last map of a backbone or the patch tokens of a transformer,
whatever the scale of its channels. A common part of methods, and of no paper alone.

Recipe: the last feature of both backbones, weight 1, no task loss; the student's
channels are aligned.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mmkd_ext.functional.direction import unit_vectors
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = ['FeatureCosineLoss']


@MODELS.register_module()
class FeatureCosineLoss(PairLoss):
    r"""One minus the cosine of the features, a mean over all positions.

    .. math::
        L = \frac{1}{N P} \sum_{n,p} 1 - \cos(F^S_{np}, F^T_{np})
          = \frac{1}{2 N P} \sum_{n,p} \lVert u^S_{np} - u^T_{np} \rVert^2

    with `u` the unit vectors, 0 where a feature is 0. Maps ``(n c h w)``, tokens
    ``(n l c)`` and vectors ``(n c)`` are features.

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> FeatureCosineLoss()(torch.ones(2, 4, 3, 3), -2 * torch.ones(2, 4, 3, 3))
        tensor(2.)
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})
    takes_vectors: ClassVar[bool] = True

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the distance of each position ``(n ...)``, from 0 to 2."""
        axis = 2 if student.dim() == 3 else 1
        units = (
            unit_vectors(x, x.norm(dim=axis, keepdim=True)) for x in (student, teacher)
        )
        return squared_error(*units).sum(axis) / 2
