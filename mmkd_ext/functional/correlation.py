"""Correlation of two sides, which forgets their scale and offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mmkd_ext.errors import ShapeError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['pearson']

# of the authors' code. It is added to the product of two norms, so that where a side
# is constant the correlation is 0 instead of 0 / 0
_EPS = 1e-8


def pearson(student: Tensor, teacher: Tensor, *, dim: int) -> Tensor:
    r"""Returns Pearson's correlation along an axis.

    .. math::
        r = \frac{\langle s - \bar s, t - \bar t \rangle}
                 {\|s - \bar s\| \, \|t - \bar t\| + 10^{-8}}

    Eq. (6) of `Knowledge Distillation from A Stronger Teacher, NeurIPS 2022
    <https://arxiv.org/abs/2205.10536>`_, with the constant of the authors' code: it
    pulls the correlation of sides that hardly vary towards 0, and where a side does
    not vary at all, as in a batch of one, makes it 0 with no gradient.

    Args:
        student: Values of any shape.
        teacher: Values of the same shape.
        dim: Axis along which they vary; it is gone from the result.

    Returns:
        Correlation in [-1, 1].

    Raises:
        ShapeError: The shapes differ.

    Examples:
        >>> import torch
        >>> row = torch.tensor([[1.0, 2.0, 4.0]])
        >>> pearson(3 * row + 1, row, dim=1)
        tensor([1.0000])
        >>> pearson(-row, row, dim=1)
        tensor([-1.0000])
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
