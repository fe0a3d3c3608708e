"""Distances between features on several grids of averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch.autograd.function import once_differentiable

from mmkd_ext.errors import ConfigError, check_shapes, is_integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ['check_grids', 'pooled_error']


def check_grids(grids: Sequence[int]) -> None:
    """Raises `ConfigError` unless ``grids`` are falling numbers >= 1."""
    fits = (
        isinstance(grids, (list, tuple))
        and all(is_integer(cells) and cells >= 1 for cells in grids)
        and all(a > b for a, b in zip(grids, grids[1:]))
    )
    if not fits:
        raise ConfigError(
            f'`grids` must be falling numbers of cells >= 1, but is {grids!r}.'
        )


def pooled_error(
    student: Tensor, teacher: Tensor, *, grids: Sequence[int] = (4, 2, 1)
) -> Tensor:
    r"""Returns the mean squared difference of each map, and of its averages on grids.

    .. math::
        D_{nc} = \frac{\sum_{j=0}^{J} 2^{-j} \operatorname{mse}(P_j s_{nc}, P_j t_{nc})}
                      {\sum_{j=0}^{J} 2^{-j}}

    where :math:`P_0` is the map itself and :math:`P_j` averages it on the j-th grid of
    :math:`l_j \times l_j` cells, those of ``torch.nn.AdaptiveAvgPool2d``, with
    :math:`l_j < \min(h, w)`; other grids are left out. The hierarchical context loss of
    `Distilling Knowledge via Knowledge Review, CVPR 2021
    <https://arxiv.org/abs/2104.09044>`_. The authors' code tests :math:`l < h` alone,
    which on a map narrower than high averages over cells that repeat columns.

    Averaging is linear, so only the difference is averaged; by matrix products, whose
    gradient on a GPU is deterministic as that of adaptive pooling is not.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n c h w)``.
        grids: Cells along each side, falling, each >= 1.

    Returns:
        Distance ``(n c)``, never negative; a constant difference ``d`` gives ``d**2``.

    Raises:
        ShapeError: An axis differs between ``student`` and ``teacher``.
        ConfigError: ``grids`` is not a falling sequence of numbers >= 1.

    Examples:
        >>> import torch
        >>> x = torch.randn(1, 2, 5, 7)
        >>> bool((pooled_error(x + 3, x) - 9).abs().max() < 1e-4)
        True
    """
    size = check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
    check_grids(grids)
    dtype = torch.promote_types(student.dtype, teacher.dtype)
    student, teacher = student.to(dtype), teacher.to(dtype)
    used = [cells for cells in grids if cells < min(size['h'], size['w'])]
    # of all grids below each other; at first one of the map itself
    rows, columns = (
        torch.cat(
            [student.new_zeros(0, size[axis])]
            + [_averages(size[axis], cells, student) for cells in used]
        )
        for axis in 'hw'
    )
    weights = torch.block_diag(  # type: ignore[no-untyped-call]
        student.new_zeros(0, 0),
        *(
            student.new_full((cells, cells), 0.5**j / cells**2)
            for j, cells in enumerate(used, 1)
        ),
    )
    total = _GridErrors.apply(  # type: ignore[no-untyped-call]
        student, teacher, rows, columns, weights
    )
    return cast('Tensor', total) / sum(0.5**j for j in range(len(used) + 1))


class _GridErrors(torch.autograd.Function):
    """Mean square of the difference, plus weighted squares of its averages.

    The averages of all grids are one product ``rows @ difference @ columns.T``; its
    diagonal blocks are the grids, what is between them has weight 0 and is small. The
    gradient is then one map, of which each element is written once and added to once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        teacher: Tensor,
        rows: Tensor,
        columns: Tensor,
        weights: Tensor,
    ) -> Tensor:
        difference = student - teacher
        averages = rows @ (difference @ columns.T)
        value = difference.square().mean((2, 3))
        value += (averages.square() * weights).sum((2, 3))
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(difference, rows, columns, averages * weights)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        difference, rows, columns, averages = ctx.saved_tensors
        slope = 2 * grad[:, :, None, None]
        found = difference * (slope / difference[0, 0].numel())
        found += rows.T @ (slope * averages) @ columns
        student = found if ctx.needs_input_grad[0] else None
        teacher = -found if ctx.needs_input_grad[1] else None
        return student, teacher, None, None, None


def _averages(size: int, cells: int, like: Tensor) -> Tensor:
    """Returns the matrix ``(cells size)`` that averages a side within each cell."""
    cell = torch.arange(cells, device=like.device)[:, None]
    place = torch.arange(size, device=like.device)
    first = cell * size // cells
    after = -(-(cell + 1) * size // cells)
    inside = ((place >= first) & (place < after)).to(like.dtype)
    return inside / (after - first)
