"""Averages of maps on grids."""

from __future__ import annotations

import torch
from torch import Tensor

from mmkd_ext.errors import check_integer, check_shapes

__all__ = ['average_grid', 'cell_averages']


def average_grid(feature: Tensor, size: tuple[int, int]) -> Tensor:
    r"""Averages a map within each cell of a grid.

    .. math::
        P_{kl} = \frac{1}{|I_k| |J_l|} \sum_{i \in I_k} \sum_{j \in J_l} x_{ij}, \quad
        I_k = \Big[ \Big\lfloor \frac{k H}{K} \Big\rfloor,
                    \Big\lceil \frac{(k + 1) H}{K} \Big\rceil \Big)

    The cells are those of ``torch.nn.functional.adaptive_avg_pool2d``; with more of
    them than positions, positions are repeated. Two matrix products compute it, whose
    gradient on a GPU is deterministic as that of adaptive pooling is not.

    Args:
        feature: Map ``(n c h w)``.
        size: Rows and columns of the grid, each >= 1.

    Returns:
        Averages ``(n c k l)``; the map itself if it has that size.

    Raises:
        ShapeError: The feature is no map.
        ConfigError: A side of the grid is no integer >= 1.

    Examples:
        >>> x = torch.arange(6.0).reshape(1, 1, 2, 3)
        >>> average_grid(x, (1, 3)).tolist()
        [[[[1.5, 2.5, 3.5]]]]
    """
    sides = check_shapes(feature=(feature, 'n c h w'))
    for cells in size:
        check_integer('size', cells, ge=1)
    if (sides['h'], sides['w']) == tuple(size):
        return feature
    rows = cell_averages(sides['h'], size[0], feature)
    columns = cell_averages(sides['w'], size[1], feature)
    return rows @ (feature @ columns.T)


def cell_averages(size: int, cells: int, like: Tensor) -> Tensor:
    """Returns the matrix ``(cells size)`` that averages a side within each cell.

    Args:
        size: Length of the side.
        cells: Number of cells, >= 1.
        like: A tensor whose type and device it gets.

    Examples:
        >>> cell_averages(3, 2, torch.ones(1))
        tensor([[0.5000, 0.5000, 0.0000],
                [0.0000, 0.5000, 0.5000]])
    """
    cell = torch.arange(cells, device=like.device)[:, None]
    place = torch.arange(size, device=like.device)
    first = cell * size // cells
    after = -(-(cell + 1) * size // cells)
    inside = ((place >= first) & (place < after)).to(like.dtype)
    return inside / (after - first)
