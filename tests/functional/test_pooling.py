"""Averages on grids: the cells of torch's adaptive pooling, the slow twins."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import average_grid, cell_averages

SHAPES = pytest.mark.parametrize(
    ('shape', 'size'),
    [((4, 6), (2, 3)), ((5, 7), (3, 2)), ((3, 1), (1, 1)), ((2, 3), (5, 4))])


@SHAPES
def test_is_adaptive_pooling_with_its_gradient(shape, size):
    torch.manual_seed(0)
    feature = torch.randn(2, 3, *shape, dtype=torch.float64, requires_grad=True)
    wanted = F.adaptive_avg_pool2d(feature, size)
    found = average_grid(feature, size)
    torch.testing.assert_close(found, wanted)
    weights = torch.randn_like(wanted)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), feature),
        torch.autograd.grad((wanted * weights).sum(), feature))


def test_a_map_of_that_size_stays_itself():
    feature = torch.ones(1, 2, 3, 4)
    assert average_grid(feature, (3, 4)) is feature


def test_refuses_what_is_no_map_and_no_grid():
    with pytest.raises(ShapeError, match='`feature` has shape'):
        average_grid(torch.ones(2, 3), (1, 1))
    with pytest.raises(ConfigError, match='`size` must be an integer >= 1'):
        average_grid(torch.ones(1, 1, 2, 2), (0, 1))


# ---- the slow twins, in plain loops from the equation -------------------------------


def cell(number, size, cells):
    """Positions of a cell: from the floor of its start to the ceiling of its end."""
    return range(number * size // cells, -(-(number + 1) * size // cells))


def slow_cell_averages(size, cells):
    return [[1 / len(cell(k, size, cells)) if i in cell(k, size, cells) else 0.0
             for i in range(size)] for k in range(cells)]


def slow_average_grid(plane, size):
    height, width = len(plane), len(plane[0])
    return [[sum(plane[i][j] for i in cell(k, height, size[0])
                 for j in cell(m, width, size[1]))
             / len(cell(k, height, size[0])) / len(cell(m, width, size[1]))
             for m in range(size[1])] for k in range(size[0])]


@SHAPES
def test_equals_its_twin(shape, size):
    plane = torch.arange(shape[0] * shape[1], dtype=torch.float64).reshape(shape)
    slow = slow_average_grid(plane.tolist(), size)
    torch.testing.assert_close(
        average_grid(plane[None, None], size)[0, 0],
        torch.tensor(slow, dtype=torch.float64))
    torch.testing.assert_close(
        cell_averages(shape[0], size[0], plane),
        torch.tensor(slow_cell_averages(shape[0], size[0]), dtype=torch.float64))
