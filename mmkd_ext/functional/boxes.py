"""Maps and overlaps of boxes ``(b 4)``, each box ``(x0, y0, x1, y1)`` in pixels.

Boxes come as one tensor an image, sizes as one ``(height, width)`` an image: the frame
whose pixels the boxes count, which a feature map covers as a whole. A box has no part
in any map where it has no area, lies outside the frame or is not finite. Nothing here
waits for a GPU, and nothing loops over boxes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from mmkd_ext.errors import ShapeError, check_integer, check_range, check_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = [
    'background_mask',
    'box_iof',
    'box_iou',
    'box_levels',
    'box_mask',
    'scale_mask',
]

_CELLS = 2**22
"""Cells of boxes that are compared at once, so that crowds need little memory."""


class _Cells(NamedTuple):
    """Boxes on a map: first and end of rows and columns ``(n b)``, and which count."""

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor
    counts: Tensor


@torch.no_grad()
def scale_mask(
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    map_size: tuple[int, int],
    *,
    divide_first: bool = False,
) -> Tensor:
    r"""Returns one over the size of the smallest box at each cell, 0 where none is.

    .. math::
        M_{nyx} = \max_{b \ni (y, x)} \frac{1}{H_b W_b}

    The scale mask on the foreground of `Focal and Global Knowledge Distillation for
    Detectors, CVPR 2022 <https://arxiv.org/abs/2111.11837>`_. As in the authors' code a
    box begins at the floor of its first coordinate and includes the ceiling of its
    last one, and a box that reaches over the border counts with its full size.

    Args:
        boxes: Boxes of each image ``(b 4)``, any number of them.
        sizes: Height and width of each image in pixels.
        map_size: Height and width of the map in cells.
        divide_first: Scale a coordinate to the map as the authors do, divided by the
            image's side and then times the map's. In float32 the quotient may fall
            to the other side of a whole cell, which moves an end of a box by a cell.

    Returns:
        The mask ``(n h w)``, between 0 and 1.

    Raises:
        ShapeError: Boxes are not ``(b 4)``, or boxes and sizes differ in number.

    Examples:
        >>> import torch
        >>> boxes = [torch.tensor([[0.0, 0.0, 8.0, 8.0]])]
        >>> scale_mask(boxes, [(16, 32)], (2, 4))
        tensor([[[0.2500, 0.2500, 0.0000, 0.0000],
                 [0.2500, 0.2500, 0.0000, 0.0000]]])
    """
    cells = _on_map(boxes, sizes, map_size, divide_first=divide_first)
    bottom, right = cells.bottom + 1, cells.right + 1
    area = (bottom - cells.top) * (right - cells.left)
    value = torch.where(cells.counts, 1 / area, torch.zeros_like(area))
    rows = _between(cells.top, bottom, map_size[0]) * value.unsqueeze(-1)
    columns = _between(cells.left, right, map_size[1])
    mask = rows.new_zeros((len(rows), *map_size))
    step = max(1, _CELLS // max(1, mask.numel()))
    for some, others in zip(torch.split(rows, step, 1), torch.split(columns, step, 1)):
        if some.shape[1]:
            there = some.unsqueeze(-1) * others.unsqueeze(-2)
            mask = torch.maximum(mask, there.amax(1))
    return mask


def background_mask(foreground: Tensor) -> Tensor:
    r"""Returns one over the number of cells without a box, at each of them.

    .. math::
        B_{nyx} = \frac{[M_{nyx} = 0]}{\max(1, \sum_{yx} [M_{nyx} = 0])}

    Args:
        foreground: A mask that is 0 where no box is ``(n h w)``.

    Returns:
        The mask ``(n h w)``; an image's values sum to 1, or to 0 where boxes leave no
        cell.

    Raises:
        ShapeError: The mask is not ``(n h w)``.

    Examples:
        >>> import torch
        >>> background_mask(torch.tensor([[[0.0, 0.5], [0.0, 0.5]]]))
        tensor([[[0.5000, 0.0000],
                 [0.5000, 0.0000]]])
    """
    check_shapes(foreground=(foreground, 'n h w'))
    free = (foreground == 0).to(foreground.dtype)
    return free / free.sum((1, 2), keepdim=True).clamp(min=1)


@torch.no_grad()
def box_mask(
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    map_size: tuple[int, int],
    *,
    counts: Sequence[Tensor] | None = None,
) -> Tensor:
    """Returns 1 at the cells that a box touches, 0 elsewhere.

    The mask of `Distilling Object Detectors via Decoupled Features, CVPR 2021
    <https://arxiv.org/abs/2103.14475>`_. The authors' code rounds both ends down, so
    that a box loses its last row and column; here a cell counts as soon as the box
    reaches into it, and every box has a cell.

    Args:
        boxes: Boxes of each image ``(b 4)``, any number of them.
        sizes: Height and width of each image in pixels.
        map_size: Height and width of the map in cells.
        counts: For each image, which of its boxes count ``(b)``; all where None. See
            `box_levels`.

    Returns:
        The mask ``(n h w)``.

    Raises:
        ShapeError: Boxes are not ``(b 4)``, or boxes, sizes and counts differ in
            number.

    Examples:
        >>> import torch
        >>> boxes = [torch.tensor([[0.0, 0.0, 9.0, 8.0]])]
        >>> box_mask(boxes, [(16, 32)], (2, 4))
        tensor([[[1., 1., 0., 0.],
                 [0., 0., 0., 0.]]])
    """
    cells = _on_map(boxes, sizes, map_size)
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
    rows = _between(cells.top, bottom, map_size[0]) * used.unsqueeze(-1)
    columns = _between(cells.left, right, map_size[1])
    # the product counts the boxes at each cell
    covered = torch.einsum('nbh,nbw->nhw', rows, columns)
    return (covered > 0).to(rows.dtype)


def box_levels(boxes: Tensor, levels: int, *, finest_scale: float = 56.0) -> Tensor:
    r"""Returns the pyramid level of each box by its size.

    .. math::
        l_b = \operatorname{clip} \Big(\Big\lfloor \log_2 \Big(
            \frac{\sqrt{H_b W_b}}{s} + 10^{-6} \Big) \Big\rfloor, 0, L - 1 \Big)

    The rule by which FPN gives regions to levels, as in mmdet's RoI extractors.

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
        >>> import torch
        >>> box_levels(torch.tensor([[0.0, 0.0, 56.0, 56.0], [0.0, 0.0, 224.0, 224.0]]),
        ...            levels=4)
        tensor([0, 2])
    """
    check_shapes(boxes=(boxes, 'b 4'))
    check_integer('levels', levels, low=1)
    check_range('finest_scale', finest_scale, above=0)
    scale = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1).sqrt()
    # mmdet's 1e-6 lifts a box of exactly one level's size over rounding
    level = (scale / finest_scale + 1e-6).log2().floor()
    return level.clamp(0, levels - 1).long()


def box_iou(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    r"""Returns the intersection over union of each pair of boxes.

    .. math::
        \mathrm{IoU}_{ab} = \frac{|a \cap b|}{|a \cup b|}

    Args:
        boxes_a: Boxes ``(a 4)``.
        boxes_b: Boxes ``(b 4)``.

    Returns:
        Overlaps ``(a b)`` between 0 and 1; 0 where both boxes have no area.

    Raises:
        ShapeError: Boxes are not ``(... 4)`` with two axes.

    Examples:
        >>> import torch
        >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]),
        ...         torch.tensor([[0.0, 0.0, 2.0, 1.0], [5.0, 5.0, 6.0, 6.0]]))
        tensor([[0.5000, 0.0000]])
    """
    shared, area_a, area_b = _shared(boxes_a, boxes_b)
    union = area_a + area_b - shared
    # a union of 0 has an intersection of 0; any divisor will do
    return shared / torch.where(union > 0, union, torch.ones_like(union))


def box_iof(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    r"""Returns the share of each first box that lies in each second one.

    .. math::
        \mathrm{IoF}_{ab} = \frac{|a \cap b|}{|a|}

    Args:
        boxes_a: Boxes ``(a 4)``.
        boxes_b: Boxes ``(b 4)``.

    Returns:
        Shares ``(a b)`` between 0 and 1; 0 where the first box has no area.

    Raises:
        ShapeError: Boxes are not ``(... 4)`` with two axes.

    Examples:
        >>> import torch
        >>> box_iof(torch.tensor([[0.0, 0.0, 2.0, 2.0]]),
        ...         torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 9.0, 9.0]]))
        tensor([[0.5000, 1.0000]])
    """
    shared, area_a, _ = _shared(boxes_a, boxes_b)
    return shared / torch.where(area_a > 0, area_a, torch.ones_like(area_a))


def _shared(boxes_a: Tensor, boxes_b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns intersections ``(a b)``, and the areas ``(a 1)`` and ``(b)``."""
    check_shapes(boxes_a=(boxes_a, 'a 4'), boxes_b=(boxes_b, 'b 4'))
    ax0, ay0, ax1, ay1 = boxes_a.unsqueeze(1).unbind(-1)
    bx0, by0, bx1, by1 = boxes_b.unbind(-1)
    width = torch.minimum(ax1, bx1) - torch.maximum(ax0, bx0)
    height = torch.minimum(ay1, by1) - torch.maximum(ay0, by0)
    area_a = (ax1 - ax0).clamp(min=0) * (ay1 - ay0).clamp(min=0)
    area_b = (bx1 - bx0).clamp(min=0) * (by1 - by0).clamp(min=0)
    return width.clamp(min=0) * height.clamp(min=0), area_a, area_b


def _on_map(
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    map_size: tuple[int, int],
    *,
    divide_first: bool = False,
) -> _Cells:
    """Scales boxes to a map: first cells, and ends rounded up."""

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
    return _Cells(
        top=scaled(y0, map_size[0], height).floor(),
        bottom=scaled(y1, map_size[0], height).ceil(),
        left=scaled(x0, map_size[1], width).floor(),
        right=scaled(x1, map_size[1], width).ceil(),
        counts=counts,
    )


def _between(start: Tensor, end: Tensor, length: int) -> Tensor:
    """Returns 1 at the positions from ``start`` and below ``end`` ``(n b length)``."""
    places = torch.arange(length, dtype=start.dtype, device=start.device)
    inside = (places >= start.unsqueeze(-1)) & (places < end.unsqueeze(-1))
    return inside.to(start.dtype)
