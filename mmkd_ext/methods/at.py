r"""AT: Paying More Attention to Attention.

Zagoruyko, Komodakis, ICLR 2017, `arXiv 1612.03928 <https://arxiv.org/abs/1612.03928>`_.
A feature method: where the student's map is active follows the teacher's, whatever the
channels are.

Recipe: classification, the end of each stage, ``p=2``, weight 1000 in RepDistiller;
segmentation, weight 10000 in CIRKD, with pixel-wise KD of weight 1.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = ['ATLoss', 'attention_distance']

# A map that is 0 everywhere has no attention: it stays 0 instead of 0 / 0.
_NO_LENGTH = 1e-30


def attention_distance(student: Tensor, teacher: Tensor, *, p: float = 2.0) -> Tensor:
    r"""Returns the squared difference of the attention at each position.

    .. math::
        D_i = \left( \frac{Q^S_i}{\lVert Q^S \rVert_2}
              - \frac{Q^T_i}{\lVert Q^T \rVert_2} \right)^2, \quad
        Q_i = \sum_c |x_{ci}|^p

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n d h w)``; its channels may differ in number.
        p: Power of the activations, >= 1; a higher one stresses the strongest.

    Returns:
        Squared difference ``(n h w)``; an image's values sum to at most 2.

    Raises:
        ShapeError: Batch or size differ between ``student`` and ``teacher``.
        ConfigError: ``p`` is below 1.

    Examples:
        >>> attention_distance(torch.ones(1, 2, 2, 2), -torch.ones(1, 5, 2, 2)).sum()
        tensor(0.)
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
    check_range('p', p, ge=1)
    return (_attention(student, p) - _attention(teacher, p)).square()


@MODELS.register_module()
class ATLoss(PairLoss):
    """Squared difference of the attention maps, a mean over positions.

    See :func:`attention_distance`. Equals mmrazor's ``ATLoss`` for ``p=2``. Attention
    of one image has length 1, so the mean falls with the size of the map: a weight
    belongs to an output stride.

    Args:
        p: Power of the activations, >= 1.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def __init__(self, p: float = 2.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('p', p, ge=1)
        self.p = p

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the squared difference at each position ``(n h w)``."""
        return attention_distance(student, teacher, p=self.p)


def _attention(x: Tensor, p: float) -> Tensor:
    """Attention of each image, of length 1, ``(n h w)``."""
    # the length does not count, so powers of values of at most 1 cannot overflow
    largest = torch.linalg.vector_norm(x.detach(), torch.inf, (1, 2, 3), keepdim=True)
    x = x / largest.masked_fill(largest == 0, 1)
    # a norm reads the channels once and keeps no copy of their powers
    power = torch.linalg.vector_norm(x, p, dim=1).pow(p)
    length = power.flatten(1).norm(dim=1).clamp(min=_NO_LENGTH)
    unit: Tensor = power / length[:, None, None]
    return unit
