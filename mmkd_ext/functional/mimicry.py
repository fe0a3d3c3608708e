"""Distances between features of equal shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from mmkd_ext.errors import ShapeError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['squared_error']


def squared_error(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Returns the squared difference of every element.

    .. math:: D = (s - t)^2

    Args:
        student: Features of any shape ``(n ...)``.
        teacher: Features of the same shape.

    Returns:
        Squared differences, shaped as the inputs.

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
