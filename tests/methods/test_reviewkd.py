"""ReviewKD: cases for the laws, the fusion, the slow twins."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from slow_parts import mean_square, two_sides

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import ReviewKDFusion, ReviewKDLoss
from mmkd_ext.methods.reviewkd import pooled_error
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

ZERO = [[[[0.0, 0.0], [0.0, 0.0]]]]
CASES = [
    LossCase(
        ReviewKDLoss, inputs=pair(2, 2, 5, 6),
        values=[
            KnownValue(
                [[[[3.0, 1.0], [1.0, 3.0]]]], ZERO, (5 + 4 / 2) / 1.5,
                'mean of squares 5, square of the mean 4, by hand'),
            KnownValue(
                [[[[3.0, -1.0]]]], [[[[0.0, 0.0]]]], 5.0,
                'one row has no grid: (9 + 1) / 2')]),
    LossCase(ReviewKDLoss, {'grids': (2,)}, inputs=pyramid((2, 3, 4, 3), (2, 3, 1, 2)))]


@pytest.mark.parametrize('shape', [(5, 9), (1, 6)])
def test_equals_what_is_published_on_maps_that_are_not_narrow(shape):
    student, teacher = torch.randn(2, 1, 2, *shape, dtype=torch.float64)
    published = slow_pooled_error(student.tolist(), teacher.tolist(), (4, 2, 1),
                                   limit=lambda height, width: height)
    found = ReviewKDLoss(reduction='none')(student, teacher)
    torch.testing.assert_close(found, torch.tensor(published, dtype=torch.float64))


def maps(sizes=((6, 10), (3, 5), (2, 3)), channels=8, images=2):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(images, channels, *size, generator=generator)
                 for size in sizes)


def slow_fusion(fusion, pyramid):
    """The chain from its equations, with the concatenation that the fast one avoids."""
    found, deeper = [], None
    for block, level in list(zip(fusion.blocks, pyramid))[::-1]:
        y = block.enter_norm(block.enter(level))
        if deeper is not None:
            r = F.interpolate(deeper, y.shape[2:], mode='nearest')
            gate = torch.sigmoid(block.attention(torch.cat([y, r], 1)))
            y = y * gate[:, 0].unsqueeze(1) + r * gate[:, 1].unsqueeze(1)
        found.insert(0, block.leave_norm(block.leave(y)))
        deeper = y
    return found


# a dilated backbone, and a crop that does not divide
@pytest.mark.parametrize(('sizes', 'training'), [
    (((6, 10), (3, 5), (2, 3)), True), (((9, 13), (5, 7), (5, 7)), False)])
def test_equals_the_equations(sizes, training):
    fusion = ReviewKDFusion(3, 8, mid_channels=4).train(training).double()
    pyramid = tuple(x.double().requires_grad_() for x in maps(sizes))
    fast, slow = fusion(pyramid), slow_fusion(fusion, pyramid)
    for one, other in zip(fast, slow):
        torch.testing.assert_close(one, other)
    gradients = [torch.autograd.grad(sum(x.square().sum() for x in side), [
        *pyramid, *fusion.parameters()]) for side in (fast, slow)]
    torch.testing.assert_close(gradients[0], gradients[1])


def test_each_level_sees_the_deeper_ones_and_no_other():
    fusion = ReviewKDFusion(3, 8, mid_channels=4).eval()
    pyramid = maps()
    before = fusion(pyramid)
    for changed in range(3):
        other = fusion([x + (i == changed) for i, x in enumerate(pyramid)])
        reacted = [not torch.allclose(a, b) for a, b in zip(before, other)]
        assert reacted == [i <= changed for i in range(3)]


def test_gives_the_channels_of_the_teacher_level_by_level():
    fusion = ReviewKDFusion(3, [4, 6, 10], mid_channels=5, in_channels=8)
    assert [tuple(x.shape) for x in fusion(maps())] == [
        (2, 4, 6, 10), (2, 6, 3, 5), (2, 10, 2, 3)]


@pytest.mark.parametrize('training', [True, False])
def test_one_image_whose_deepest_level_is_one_position(training):
    # a batch norm alone raises here: one value has no variance
    fusion = ReviewKDFusion(3, 8, mid_channels=4).train(training)
    out = fusion(maps(((4, 4), (2, 2), (1, 1)), images=1))
    loss = ReviewKDLoss()(out, [torch.randn_like(x) for x in out])
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None for p in fusion.parameters())
    assert fusion.blocks[2].enter_norm.running_mean.eq(0).all()


@pytest.mark.parametrize(('pyramid', 'found'), [
    (maps()[:2], '2'), ((*maps(), maps()[0]), '4'),
    (torch.zeros(3, 8, 4, 4), 'Tensor')])
def test_refuses_another_number_of_levels(pyramid, found):
    with pytest.raises(ShapeError, match=f'levels=3, but got {found}; set'):
        ReviewKDFusion(3, 8)(pyramid)


def test_says_which_level_has_other_channels():
    pyramid = (*maps()[:2], torch.zeros(2, 4, 2, 3))
    with pytest.raises(ShapeError, match=r'Level 2 of `ReviewKDFusion` takes \(n 8'):
        ReviewKDFusion(3, 8)(pyramid)


@pytest.mark.parametrize(('levels', 'channels', 'message'), [
    (0, 8, '`ReviewKDFusion.levels` must be an integer >= 1'),
    (2, [8], '`ReviewKDFusion.channels` must be one number, or one for each'),
    (2, 0, '`ReviewKDFusion.channels` must be an integer >= 1')])
def test_refuses_numbers_that_make_no_fusion(levels, channels, message):
    with pytest.raises(ConfigError, match=message):
        ReviewKDFusion(levels, channels)


def test_a_checkerboard_is_seen_by_the_map_and_by_no_grid():
    board = torch.tensor([1.0, -1.0]).repeat(4).reshape(1, 8) * torch.tensor(
        [1.0, -1.0]).repeat(4).reshape(8, 1)
    found = pooled_error(board[None, None], torch.zeros(1, 1, 8, 8))
    # 1 from the map, 0 from three grids: 1 / (1 + 1/2 + 1/4 + 1/8)
    assert found.item() == pytest.approx(8 / 15)


def test_gradient_is_that_of_adaptive_pooling_for_maps_in_any_layout():
    student, teacher = two_sides(2, 3, 7, 10)
    student = student.contiguous(memory_format=torch.channels_last).requires_grad_()
    pooled_error(student, teacher).sum().backward()
    plain = student.detach().clone().requires_grad_()
    loss = (plain - teacher).square().mean((2, 3))
    for j, cells in enumerate((4, 2, 1), 1):
        loss = loss + 0.5**j * F.adaptive_avg_pool2d(
            plain - teacher, cells).square().mean((2, 3))
    (loss / 1.875).sum().backward()
    torch.testing.assert_close(student.grad, plain.grad)


def pooled(plane, cells):
    """Adaptive average pooling of ``[h][w]`` to a square of cells."""
    height, width = len(plane), len(plane[0])

    def span(i, size):
        # from the floor of the first fraction to the ceiling of the next
        return range(i * size // cells, -((-(i + 1) * size) // cells))

    return [[sum(plane[y][x] for y in span(i, height) for x in span(j, width))
             / (len(span(i, height)) * len(span(j, width)))
             for j in range(cells)] for i in range(cells)]


def context_error(student, teacher, grids, limit):
    """ReviewKD's hierarchical context loss of one map ``[h][w]``.

    Grids must have fewer cells along a side than ``limit(height, width)``.
    """
    loss, weight, total = mean_square(student, teacher), 1.0, 1.0
    for cells in grids:
        if cells >= limit(len(student), len(student[0])):
            continue
        weight /= 2
        loss += weight * mean_square(pooled(student, cells), pooled(teacher, cells))
        total += weight
    return loss / total


def slow_pooled_error(student, teacher, grids, limit=min):
    """ReviewKD for each map, ``[n][c]``; by ``limit=lambda h, w: h`` as published."""
    return [[context_error(s, t, grids, limit) for s, t in zip(*images)]
            for images in zip(student, teacher)]


@pytest.mark.parametrize(('shape', 'grids'), [
    ((2, 3, 4, 5), (4, 2, 1)), ((1, 2, 8, 2), (3,)), ((1, 5, 3, 1), ())])
def test_equals_its_twin(shape, grids):
    student, teacher = two_sides(*shape)
    slow = slow_pooled_error(student.tolist(), teacher.tolist(), grids)
    torch.testing.assert_close(pooled_error(student, teacher, grids=grids),
                               torch.tensor(slow, dtype=torch.float64))
