"""Flattened class predictions of a detector, with labels and label weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Union

import torch
from torch import Tensor

from mmkd_ext.errors import ShapeError, check_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['RowExtra', 'compute_rows', 'valid_rows']

RowExtra = Union[Tensor, 'Sequence[Tensor]', None]
"""Labels or weights of the rows: one tensor for all levels, or one for each."""


def compute_rows(
    compute: Callable[..., Tensor],
    levels: list[tuple[Tensor, Tensor]],
    **extras: RowExtra,
) -> list[Tensor]:
    """Returns the items of each level, computed with its own labels and weights.

    Args:
        compute: Returns the items of one level.
        levels: Student's and teacher's side of each level.
        extras: A tensor, which all levels share, a tuple with one for each, or None.

    Raises:
        ShapeError: A tuple has another number of levels.
    """
    items = []
    for name, extra in extras.items():
        if isinstance(extra, (list, tuple)) and len(extra) != len(levels):
            raise ShapeError(
                f'`{name}` has {len(extra)} levels, but `preds_S` has {len(levels)}; '
                'choose the same calls for both.'
            )
    for level, (student, teacher) in enumerate(levels):
        own = {
            name: extra[level] if isinstance(extra, (list, tuple)) else extra
            for name, extra in extras.items()
        }
        items.append(compute(student, teacher, **own))
    return items


def valid_rows(
    student: Tensor, labels: Tensor | None, label_weights: Tensor | None
) -> Tensor:
    """Returns the indices of the valid rows.

    Their label is one of the columns and, where weights are given, their weight is
    above 0. Sigmoid heads have no column for the background, so only the positive rows
    are valid: some hundreds among a hundred thousand. Finding them waits for the device
    once; computing all rows to multiply most with 0 would cost far more.

    Args:
        student: Logits ``(n c)``.
        labels: Label of each row, ``(n)``; None where any is valid.
        label_weights: Weight of each row in the detector's own loss, ``(n)``.

    Raises:
        ShapeError: There is not one label or weight for each row.
    """
    valid = student.new_ones(student.shape[0], dtype=torch.bool)
    if labels is not None:
        check_shapes(student=(student, 'n c'), labels=(labels, 'n'))
        valid = valid & (labels >= 0) & (labels < student.shape[1])
    if label_weights is not None:
        check_shapes(student=(student, 'n c'), label_weights=(label_weights, 'n'))
        valid = valid & (label_weights > 0)
    indices: Tensor = valid.nonzero().squeeze(1)
    return indices
