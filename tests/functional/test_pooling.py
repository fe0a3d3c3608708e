"""What the distance on grids promises."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import pooled_error

CALM = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SEEDS = st.integers(0, 2**31)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9),
                   st.integers(1, 9))


def noise(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64)
            for _ in range(2)]


@CALM
@given(SHAPES, SEEDS, st.floats(-10, 10))
def test_a_constant_difference_is_squared_at_any_size(shape, seed, difference):
    _, teacher = noise(shape, seed)
    found = pooled_error(teacher + difference, teacher)
    torch.testing.assert_close(found, torch.full_like(found, difference**2),
                               rtol=1e-9, atol=1e-12)


@CALM
@given(SHAPES, SEEDS)
def test_is_what_adaptive_pooling_gives(shape, seed):
    student, teacher = noise(shape, seed)
    found, weight, total = (student - teacher).square().mean((2, 3)), 1.0, 1.0
    for cells in [g for g in (4, 2, 1) if g < min(shape[2:])]:
        weight /= 2
        total += weight
        one, other = (F.adaptive_avg_pool2d(x, cells) for x in (student, teacher))
        found = found + weight * (one - other).square().mean((2, 3))
    torch.testing.assert_close(pooled_error(student, teacher), found / total)


@CALM
@given(SHAPES, SEEDS)
def test_turning_both_maps_on_their_side_changes_nothing(shape, seed):
    student, teacher = noise(shape, seed)
    torch.testing.assert_close(
        pooled_error(student.transpose(2, 3), teacher.transpose(2, 3)),
        pooled_error(student, teacher))


@CALM
@given(SHAPES, SEEDS)
def test_is_symmetric_and_zero_at_equality(shape, seed):
    student, teacher = noise(shape, seed)
    torch.testing.assert_close(pooled_error(student, teacher),
                               pooled_error(teacher, student))
    assert not pooled_error(student, student.clone()).any()


def test_a_checkerboard_is_seen_by_the_map_and_by_no_grid():
    board = torch.tensor([1.0, -1.0]).repeat(4).reshape(1, 8) * torch.tensor(
        [1.0, -1.0]).repeat(4).reshape(8, 1)
    found = pooled_error(board[None, None], torch.zeros(1, 1, 8, 8))
    # 1 from the map, 0 from three grids: 1 / (1 + 1/2 + 1/4 + 1/8)
    assert found.item() == pytest.approx(8 / 15)


@pytest.mark.parametrize(('shape', 'total'), [
    ((8, 8), 1.875), ((5, 5), 1.875), ((4, 9), 1.75), ((9, 4), 1.75), ((2, 8), 1.5),
    ((8, 2), 1.5), ((1, 9), 1.0), ((1, 1), 1.0)])
def test_grids_are_smaller_than_the_map_in_both_directions(shape, total):
    # one row differs in sign from the next, so the finest grid sees something too;
    # what is read here is how many grids took part, from a difference of one pixel
    student = torch.zeros(1, 1, *shape, dtype=torch.float64)
    student[..., 0, 0] = 1.0
    found = pooled_error(student, torch.zeros_like(student)).item()
    used = [g for g in (4, 2, 1) if g < min(shape)]

    def span(size, cells):
        return -(-size // cells)

    parts = [0.5**j * (1 / (span(shape[0], g) * span(shape[1], g))) ** 2 / g**2
             for j, g in enumerate(used, 1)]
    wanted = (1 / (shape[0] * shape[1]) + sum(parts)) / total
    assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize('frozen', [True, False])
@pytest.mark.parametrize('shape', [(2, 2, 6, 3), (1, 2, 1, 4), (1, 1, 5, 7)])
def test_gradient_is_right(shape, frozen):
    student, teacher = noise(shape)
    assert torch.autograd.gradcheck(
        pooled_error, (student.requires_grad_(), teacher.requires_grad_(not frozen)))


def test_gradient_is_that_of_adaptive_pooling_for_maps_in_any_layout():
    student, teacher = noise((2, 3, 7, 10))
    student = student.contiguous(memory_format=torch.channels_last).requires_grad_()
    pooled_error(student, teacher).sum().backward()
    plain = student.detach().clone().requires_grad_()
    loss = (plain - teacher).square().mean((2, 3))
    for j, cells in enumerate((4, 2, 1), 1):
        loss = loss + 0.5**j * F.adaptive_avg_pool2d(
            plain - teacher, cells).square().mean((2, 3))
    (loss / 1.875).sum().backward()
    torch.testing.assert_close(student.grad, plain.grad)


@pytest.mark.parametrize('grids', [(2, 4), (2, 2), (2, 0), (1.5,), 4, None])
def test_refuses_grids_that_do_not_fall(grids):
    with pytest.raises(ConfigError, match='`grids` must be falling numbers of cells'):
        pooled_error(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), grids=grids)


@pytest.mark.parametrize('shape', [(2, 1, 4, 4), (1, 3, 4, 4), (2, 3, 4, 5), (2, 3, 4)])
def test_refuses_sides_that_do_not_fit(shape):
    with pytest.raises(ShapeError, match=r'differs|is needed'):
        pooled_error(torch.zeros(2, 3, 4, 4), torch.zeros(shape))
