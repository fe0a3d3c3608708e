"""Distance between where two maps are active."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mmkd_ext.errors import check_range, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['attention_distance']

# A map that is 0 everywhere attends to nothing: it stays 0 instead of 0 / 0.
_NO_LENGTH = 1e-30


def attention_distance(student: Tensor, teacher: Tensor, *, p: float = 2.0) -> Tensor:
    r"""Returns the squared difference of the attention at each position.

    .. math::
        D_i = \left( \frac{Q^S_i}{\lVert Q^S \rVert_2}
              - \frac{Q^T_i}{\lVert Q^T \rVert_2} \right)^2, \quad
        Q_i = \frac{1}{C} \sum_c |x_{ci}|^p

    Activation-based attention of `Paying More Attention to Attention, ICLR 2017
    <https://arxiv.org/abs/1612.03928>`_.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n d h w)``; its channels may differ in number.
        p: Power of the activations, >= 1; a higher one looks at the strongest.

    Returns:
        Squared difference at each position, ``(n h w)``; of one image they sum to at
        most 2.

    Raises:
        ShapeError: Batch or size differ between ``student`` and ``teacher``.
        ConfigError: ``p`` is below 1.

    Examples:
        >>> import torch
        >>> attention_distance(torch.ones(1, 2, 2, 2), -torch.ones(1, 5, 2, 2)).sum()
        tensor(0.)
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
    check_range('p', p, low=1)
    return (_attention(student, p) - _attention(teacher, p)).square()


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
