"""Masks, levels and overlaps of boxes ``(b 4)``, each ``(x0, y0, x1, y1)`` in pixels.

Boxes come as one tensor per image, sizes as one ``(height, width)`` per image: the
frame in whose pixels boxes are given, and which the whole feature map covers. Boxes
without area, outside the frame or with values that are not finite are left out of every
mask. Nothing here waits for a GPU or loops over boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmkd_ext.errors import ShapeError, check_integer, check_range, check_shapes

__all__ = ['box_iou', 'box_levels', 'box_mask']


@torch.no_grad()
def box_mask(
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    map_size: tuple[int, int],
    *,
    counts: Sequence[Tensor] | None = None,
) -> Tensor:
    """Returns 1 at the cells that a box touches, 0 elsewhere.

    The mask of `DeFeat, CVPR 2021 <https://arxiv.org/abs/2103.14475>`_. The authors'
    code rounds both ends down, so a box loses its last row and column; here a cell
    counts as soon as the box reaches into it, and every box has a cell.

    Args:
        boxes: Boxes of each image ``(b 4)``, any number of them.
        sizes: Height and width of each image in pixels.
        map_size: Height and width of the map in cells.
        counts: For each image, which of its boxes count ``(b)``; all where None.

    Returns:
        The mask ``(n h w)``.

    Raises:
        ShapeError: Boxes are not ``(b 4)``, or boxes, sizes and counts differ in
            number.

    Examples:
        >>> boxes = [torch.tensor([[0.0, 0.0, 9.0, 8.0]])]
        >>> box_mask(boxes, [(16, 32)], (2, 4))
        tensor([[[1., 1., 0., 0.],
                 [0., 0., 0., 0.]]])
    """
    cells = boxes_on_map(boxes, sizes, map_size)
    used = cells.counts
    if counts is not None:
        if [len(some) for some in counts] != [len(some) for some in boxes]:
            raise ShapeError(
                f'`counts` has {[len(some) for some in counts]} entries an image, '
                f'`boxes` has {[len(some) for some in boxes]}.'
            )
        used = used & pad_sequence(list(counts), batch_first=True).bool()
    bottom = torch.maximum(cells.bottom, cells.top + 1)
    right = torch.maximum(cells.right, cells.left + 1)
    rows = mark_between(cells.top, bottom, map_size[0]) * used.unsqueeze(-1)
    columns = mark_between(cells.left, right, map_size[1])
    # the product counts the boxes at each cell
    covered = torch.einsum('nbh,nbw->nhw', rows, columns)
    return (covered > 0).to(rows.dtype)


def box_levels(boxes: Tensor, levels: int, *, finest_scale: float = 56.0) -> Tensor:
    r"""Returns the pyramid level of each box by its size.

    .. math::
        l_b = \operatorname{clip} \Big(\Big\lfloor \log_2 \Big(
            \frac{\sqrt{H_b W_b}}{s} + 10^{-6} \Big) \Big\rfloor, 0, L - 1 \Big)

    FPN's assignment of regions to levels, as in mmdet's RoI extractors.

    Args:
        boxes: Boxes of one image ``(b 4)``.
        levels: Number of levels, >= 1.
        finest_scale: Boxes below twice this size, in pixels, are of level 0.

    Returns:
        Level of each box ``(b)``, from 0.

    Raises:
        ShapeError: The boxes are not ``(b 4)``.
        ConfigError: ``levels`` is below 1 or ``finest_scale`` is not positive.

    Examples:
        >>> box_levels(torch.tensor([[0.0, 0.0, 56.0, 56.0], [0.0, 0.0, 224.0, 224.0]]),
        ...            levels=4)
        tensor([0, 2])
    """
    check_shapes(boxes=(boxes, 'b 4'))
    check_integer('levels', levels, ge=1)
    check_range('finest_scale', finest_scale, gt=0)
    scale = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1).sqrt()
    # mmdet's 1e-6 lifts a box of exactly one level's size over rounding
    level = (scale / finest_scale + 1e-6).log2().floor()
    return level.clamp(0, levels - 1).long()


def box_iou(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Returns the intersection over union of each pair of boxes.

    Args:
        boxes_a: Boxes ``(a 4)``.
        boxes_b: Boxes ``(b 4)``.

    Returns:
        Overlaps ``(a b)`` between 0 and 1; 0 where both boxes have no area.

    Raises:
        ShapeError: Boxes are not ``(... 4)`` with two axes.

    Examples:
        >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]),
        ...         torch.tensor([[0.0, 0.0, 2.0, 1.0], [5.0, 5.0, 6.0, 6.0]]))
        tensor([[0.5000, 0.0000]])
    """
    shared, area_a, area_b = intersections(boxes_a, boxes_b)
    union = area_a + area_b - shared
    # a union of 0 has an intersection of 0; any divisor will do
    return shared / torch.where(union > 0, union, torch.ones_like(union))


def intersections(boxes_a: Tensor, boxes_b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    check_shapes(boxes_a=(boxes_a, 'a 4'), boxes_b=(boxes_b, 'b 4'))
    ax0, ay0, ax1, ay1 = boxes_a.unsqueeze(1).unbind(-1)
    bx0, by0, bx1, by1 = boxes_b.unbind(-1)
    width = torch.minimum(ax1, bx1) - torch.maximum(ax0, bx0)
    height = torch.minimum(ay1, by1) - torch.maximum(ay0, by0)
    area_a = (ax1 - ax0).clamp(min=0) * (ay1 - ay0).clamp(min=0)
    area_b = (bx1 - bx0).clamp(min=0) * (by1 - by0).clamp(min=0)
    return width.clamp(min=0) * height.clamp(min=0), area_a, area_b


class MapCells(NamedTuple):
    """Boxes on a map ``(n b)``: first and end of rows and columns, which ones count."""

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor
    counts: Tensor


def boxes_on_map(
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    map_size: tuple[int, int],
    *,
    divide_first: bool = False,
) -> MapCells:
    """Scales boxes to a map: first cells, and ends rounded up; see `box_mask`.

    `divide_first` divides by the image's side before it multiplies by the map's, whose
    result in float32 may be on the other side of a whole cell.
    """

    def scaled(place: Tensor, cells: int, side: Tensor) -> Tensor:
        # first times, then divided: 8 * 168 / 1344 is 1, 8 / 1344 * 168 may be above
        return place / side * cells if divide_first else place * cells / side

    for index, some in enumerate(boxes):
        check_shapes(**{f'boxes[{index}]': (some, 'b 4')})
    if len(boxes) != len(sizes) or not boxes:
        raise ShapeError(
            f'there are boxes of {len(boxes)} images, but sizes of {len(sizes)}; give '
            'one of each an image, and at least one image.'
        )
    all_boxes = pad_sequence(list(boxes), batch_first=True)
    if all_boxes.dtype != torch.float64:
        all_boxes = all_boxes.float()
    frame = all_boxes.new_tensor(sizes).unsqueeze(1)  # (n 1 2)
    height, width = frame[..., 0], frame[..., 1]
    x0, y0, x1, y1 = all_boxes.unbind(-1)
    # what lies beyond the far border has no cells anyway
    counts = (x1 > x0) & (y1 > y0) & (x1 > 0) & (y1 > 0) & all_boxes.isfinite().all(-1)
    return MapCells(
        top=scaled(y0, map_size[0], height).floor(),
        bottom=scaled(y1, map_size[0], height).ceil(),
        left=scaled(x0, map_size[1], width).floor(),
        right=scaled(x1, map_size[1], width).ceil(),
        counts=counts,
    )


def mark_between(start: Tensor, end: Tensor, length: int) -> Tensor:
    places = torch.arange(length, dtype=start.dtype, device=start.device)
    inside = (places >= start.unsqueeze(-1)) & (places < end.unsqueeze(-1))
    return inside.to(start.dtype)
