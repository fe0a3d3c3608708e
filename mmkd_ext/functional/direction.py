"""Unit vectors of features."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['NO_LENGTH', 'unit_vectors']

NO_LENGTH = 1e-12
"""A shorter feature has no direction: its unit vector is 0 and gets no gradient, which
would otherwise be the inverse of its length."""


def unit_vectors(x: Tensor, length: Tensor) -> Tensor:
    """Divides features by their lengths; features without a length become 0.

    Args:
        x: Features of any shape.
        length: Their lengths, broadcast against ``x``.

    Examples:
        >>> unit_vectors(torch.tensor([3.0, 0.0]), torch.tensor([3.0, 0.0]))
        tensor([1., 0.])
    """
    unit: Tensor = x / length.masked_fill(length <= NO_LENGTH, torch.inf)
    return unit
