"""Directions of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['NO_LENGTH', 'directed']

NO_LENGTH = 1e-12
"""A feature shorter than this has no direction: its cosines are 0, and so is their
gradient, which would otherwise be the inverse of its length."""


def directed(x: Tensor, length: Tensor) -> Tensor:
    """Divides features by their lengths; what has none becomes 0, without gradient."""
    unit: Tensor = x / length.masked_fill(length <= NO_LENGTH, torch.inf)
    return unit
