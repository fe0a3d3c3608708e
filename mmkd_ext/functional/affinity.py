"""Distances between the affinities of two maps.

The affinity of a map is the matrix of the cosines between all its positions. It has
``(h w)**2`` entries, but a rank of at most ``c``; so distances between two affinities
follow from three small Gram matrices of their channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmkd_ext.errors import check_shapes
from mmkd_ext.functional.direction import NO_LENGTH, unit_vectors

__all__ = ['affinity_row_distance', 'affinity_squared_distance']

# Squared distances below this share of the squared lengths are rounding errors (some
# units of float64); such rows count as equal, and their gradient is 0.
_ROUNDING = 64 * torch.finfo(torch.float64).eps
# Positions that are held in float64 at a time.
_CHUNK = 1024


def affinity_row_distance(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Returns the distance between the rows of two affinities.

    .. math::
        D_i = \lVert A^S_i - A^T_i \rVert_2, \quad
        A_{ij} = \frac{\langle x_i, x_j \rangle}{\lVert x_i \rVert \lVert x_j \rVert}

    The rows of the affinity module of `Knowledge Adaptation for Efficient Semantic
    Segmentation, CVPR 2019 <https://arxiv.org/abs/1903.04688>`_, without its factor
    ``1 / (h w)``. With ``X`` and ``Y`` the maps whose columns have length 1,

    .. math::
        D_i^2 = x_i^\top (X X^\top) x_i + y_i^\top (Y Y^\top) y_i
                - 2 x_i^\top (X Y^\top) y_i

    takes time of order ``h w (c + d)**2`` and memory of order ``h w c``, forward and
    backward. The three terms nearly cancel where both sides agree, so they are
    computed in float64; what rounding leaves below 0 or barely above counts as 0.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n d h w)``; its channels may differ in number.

    Returns:
        Distance of each row, from 0 to ``2 sqrt(h w)``, ``(n h w)``. Its gradient is 0
        where it is 0.

    Raises:
        ShapeError: Batch or size differ between ``student`` and ``teacher``.

    Examples:
        >>> x = torch.eye(2).reshape(1, 2, 1, 2)
        >>> affinity_row_distance(x, torch.ones(1, 3, 1, 2))
        tensor([[[1., 1.]]])
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
    rows = _RowDistance.apply(student.flatten(2), teacher.flatten(2))  # type: ignore[no-untyped-call]
    return cast('Tensor', rows).reshape(student.shape[0], *student.shape[2:])


def affinity_squared_distance(
    student: Tensor, teacher: Tensor, *, norm_gradient: bool = True
) -> Tensor:
    r"""Returns the squared distance of the two affinity matrices of each image.

    .. math::
        D = \sum_{ij} (A^S_{ij} - A^T_{ij})^2
          = \lVert X X^\top \rVert^2 + \lVert Y Y^\top \rVert^2
            - 2 \lVert X Y^\top \rVert^2

    The pair-wise term of `Structured Knowledge Distillation for Semantic Segmentation,
    CVPR 2019 <https://arxiv.org/abs/1903.04197>`_, before its division; ``A``, ``X``
    and ``Y`` as in `affinity_row_distance`. Maps with fewer positions than channels are
    compared entry by entry, which is then the cheaper form.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n d h w)``; its channels may differ in number.
        norm_gradient: False takes the lengths of the features for constants in the
            backward pass, as the authors' code does; values stay the same.

    Returns:
        Squared distance of each image, from 0 to ``4 (h w)**2``, ``(n)``.

    Raises:
        ShapeError: Batch or size differ between ``student`` and ``teacher``.

    Examples:
        >>> x = torch.eye(2).reshape(1, 2, 1, 2)
        >>> affinity_squared_distance(x, torch.ones(1, 1, 1, 2))
        tensor([2.])
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
    s, t = student.flatten(2), teacher.flatten(2)
    if s.shape[2] > s.shape[1] + t.shape[1]:
        found = _SquaredDistance.apply(s, t, norm_gradient)  # type: ignore[no-untyped-call]
        return cast('Tensor', found)
    affinities = []
    for x in (s.double(), t.double()):
        length = x.norm(dim=1, keepdim=True)
        x = unit_vectors(x, length if norm_gradient else length.detach())
        affinities.append(x.transpose(1, 2) @ x)
    apart = (affinities[0] - affinities[1]).square().sum((1, 2))
    return apart.to(torch.promote_types(s.dtype, t.dtype))


def _units(x: Tensor, at: slice) -> tuple[Tensor, Tensor]:
    """Returns some columns with length 1 in float64, and their inverse lengths."""
    x = x[:, :, at].double()
    length = x.norm(dim=1, keepdim=True)
    inverse = length.masked_fill_(length <= NO_LENGTH, torch.inf).reciprocal_()
    return x * inverse, inverse


def _chunks(size: int) -> Iterator[slice]:
    for start in range(0, size, _CHUNK):
        yield slice(start, start + _CHUNK)


def _gram(s: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns ``X X^T``, ``X Y^T`` and ``Y Y^T`` of each image, in float64."""
    n, c, d = s.shape[0], s.shape[1], t.shape[1]
    xx, xy, yy = (
        s.new_zeros(n, *size, dtype=torch.float64) for size in ((c, c), (c, d), (d, d))
    )
    for at in _chunks(s.shape[2]):
        x, y = _units(s, at)[0], _units(t, at)[0]
        xx.baddbmm_(x, x.transpose(1, 2))
        xy.baddbmm_(x, y.transpose(1, 2))
        yy.baddbmm_(y, y.transpose(1, 2))
    return xx, xy, yy


def _to_raw(slope: Tensor, unit: Tensor, inverse: Tensor) -> Tensor:
    """Turns the gradient of unit vectors into that of the vectors themselves."""
    radial = (slope * unit).sum(1, keepdim=True)
    return (slope - radial * unit) * inverse


class _RowDistance(torch.autograd.Function):
    """Row distances of ``(n c m)`` and ``(n d m)``, and their gradient by hand.

    The gradient of ``D_i**2`` with respect to ``x`` is ``2 (X X^T x_i - X Y^T y_i)``
    at ``i`` as a row, and a term of the same form at all positions as columns, with
    each position in the Gram matrices weighted by the gradient of its row.
    """

    @staticmethod
    def forward(ctx: Any, s: Tensor, t: Tensor) -> Tensor:
        xx, xy, yy = _gram(s, t)
        n, _, m = s.shape
        squared = s.new_empty(n, m, dtype=torch.float64)
        # pulls on the rows; rounding them to the inputs' type after the subtraction
        # keeps their digits
        pulls = [
            torch.empty_like(side, memory_format=torch.contiguous_format)
            if needed
            else None
            for side, needed in zip((s, t), ctx.needs_input_grad)
        ]
        for at in _chunks(m):
            x, y = _units(s, at)[0], _units(t, at)[0]
            from_x, from_y, own_y = xx @ x, xy @ y, yy @ y
            own = (x * from_x).sum(1) + (y * own_y).sum(1)
            apart = own - 2 * (x * from_y).sum(1)
            squared[:, at] = apart.masked_fill_(apart <= _ROUNDING * own, 0)
            if pulls[0] is not None:
                pulls[0][:, :, at] = from_x - from_y
            if pulls[1] is not None:
                pulls[1][:, :, at] = own_y - xy.transpose(1, 2) @ x
        distance = squared.sqrt_()
        ctx.save_for_backward(s, t, distance, *pulls)
        return distance.to(torch.promote_types(s.dtype, t.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        s, t, distance, *pulls = ctx.saved_tensors
        # of the squares: 1 / (2 D); equal rows, D = 0, do not pull
        weight = 0.5 * grad / distance.masked_fill(distance == 0, torch.inf)
        weight = weight.unsqueeze(1)
        slopes: list[Tensor | None] = []
        for side, other, pull in ((s, t, pulls[0]), (t, s, pulls[1])):
            if pull is None:
                slopes.append(None)
                continue
            n, c, m = side.shape
            own = side.new_zeros(n, c, c, dtype=torch.float64)
            cross = side.new_zeros(n, c, other.shape[1], dtype=torch.float64)
            for at in _chunks(m):
                x, y = _units(side, at)[0], _units(other, at)[0]
                weighted = x * weight[:, :, at]
                own.baddbmm_(weighted, x.transpose(1, 2))
                cross.baddbmm_(weighted, y.transpose(1, 2))
            slope = torch.empty_like(side, memory_format=torch.contiguous_format)
            for at in _chunks(m):
                (x, inverse), y = _units(side, at), _units(other, at)[0]
                by_x = own @ x
                by_x -= cross @ y
                by_x.addcmul_(weight[:, :, at], pull[:, :, at]).mul_(2)
                slope[:, :, at] = _to_raw(by_x, x, inverse)
            slopes.append(slope)
        return slopes[0], slopes[1]


class _SquaredDistance(torch.autograd.Function):
    """Squared distance of affinities; its gradient is ``4 (X X^T x - X Y^T y)``."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, t: Tensor, norm_gradient: bool) -> Tensor:
        grams = _gram(s, t)
        ctx.save_for_backward(s, t, *grams)
        ctx.norm_gradient = norm_gradient
        x, cross, y = (gram.square().sum((1, 2)) for gram in grams)
        # rounding may leave less than nothing
        apart = (x + y - 2 * cross).clamp_(min=0)
        return apart.to(torch.promote_types(s.dtype, t.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        s, t, xx, xy, yy = ctx.saved_tensors
        sides = ((s, t, xx, xy), (t, s, yy, xy.transpose(1, 2)))
        slopes: list[Tensor | None] = []
        for needed, (side, other, own, cross) in zip(ctx.needs_input_grad, sides):
            if not needed:
                slopes.append(None)
                continue
            slope = torch.empty_like(side, memory_format=torch.contiguous_format)
            weight = 4 * grad.double().reshape(-1, 1, 1)
            for at in _chunks(side.shape[2]):
                (x, inverse), y = _units(side, at), _units(other, at)[0]
                by_x = own @ x
                by_x -= cross @ y
                by_x *= weight
                slope[:, :, at] = (
                    _to_raw(by_x, x, inverse) if ctx.norm_gradient else by_x * inverse
                )
            slopes.append(slope)
        return slopes[0], slopes[1], None
