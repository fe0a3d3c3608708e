"""Distances between features of equal shape."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.errors import ShapeError

__all__ = ['squared_error']


def squared_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns the squared difference of every element.

    Args:
        student: Features of any shape ``(n ...)``.
        teacher: Features of the same shape.

    Raises:
        ShapeError: The shapes differ.

    Examples:
        >>> import torch
        >>> squared_error(torch.ones(1, 2), torch.zeros(1, 2))
        tensor([[1., 1.]])
    """
    if student.shape != teacher.shape:
        raise ShapeError(
            f'`student` {tuple(student.shape)} and `teacher` {tuple(teacher.shape)} '
            'differ in shape; give the link a connector that aligns them.'
        )
    return F.mse_loss(student, teacher, reduction='none')
