r"""ReviewKD: Distilling Knowledge via Knowledge Review.

Chen, Liu, Zhao, Jia, CVPR 2021, `arXiv 2104.09044 <https://arxiv.org/abs/2104.09044>`_.
A feature method across levels: from the deepest level up, each level of the student is
fused with those below it by attention, and what comes out follows the teacher's level,
on the map itself and on coarse grids of it.

Recipe: detection on all five FPN levels, 256 channels in the middle; weight 1.0 for
Faster R-CNN R101 -> R50 and for RetinaNet, 1.2 for R101 -> R18, 2.0 for R50 ->
MobileNetV2; short sides from 640 to 800, no warm-up. Classification is warmed up over
20 epochs, which the authors count from 0, so that their first one has weight 0; counted
in iterations, as by the link's ``schedule=dict(type='linear', ...)``, the weight rises
from the first step on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_integer,
    check_shapes,
    is_integer,
)
from mmkd_ext.functional.pooling import cell_averages
from mmkd_ext.methods._base import PairLoss, check_map
from mmkd_ext.methods._norm import BatchNorm
from mmkd_ext.registry import MODELS

__all__ = ['ReviewKDFusion', 'ReviewKDLoss', 'pooled_error']


def pooled_error(
    student: Tensor, teacher: Tensor, *, grids: Sequence[int] = (4, 2, 1)
) -> Tensor:
    r"""Returns the mean squared difference of each map, and of its averages on grids.

    .. math::
        D_{nc} = \frac{\sum_{j=0}^{J} 2^{-j} \operatorname{mse}(P_j s_{nc}, P_j t_{nc})}
                      {\sum_{j=0}^{J} 2^{-j}}

    where :math:`P_0` is the map itself and :math:`P_j` averages it on the j-th grid of
    :math:`l_j \times l_j` cells, those of ``torch.nn.AdaptiveAvgPool2d``, with
    :math:`l_j < \min(h, w)`; other grids are left out. The authors' code compares with
    the height alone, so on maps narrower than high it averages over repeated columns.

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
        >>> x = torch.randn(1, 2, 5, 7)
        >>> bool((pooled_error(x + 3, x) - 9).abs().max() < 1e-4)
        True
    """
    size = check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
    _check_grids(grids)
    dtype = torch.promote_types(student.dtype, teacher.dtype)
    student, teacher = student.to(dtype), teacher.to(dtype)
    used = [cells for cells in grids if cells < min(size['h'], size['w'])]
    # of all grids below each other, after one without cells: there may be no others
    rows, columns = (
        torch.cat(
            [student.new_zeros(0, size[axis])]
            + [cell_averages(size[axis], cells, student) for cells in used]
        )
        for axis in 'hw'
    )
    shares = [
        student.new_full((cells, cells), 0.5**j / max(1, cells) ** 2)
        for j, cells in enumerate([0, *used])
    ]
    weights = torch.block_diag(*shares)  # type: ignore[no-untyped-call]
    total = _GridErrors.apply(  # type: ignore[no-untyped-call]
        student, teacher, rows, columns, weights
    )
    return cast('Tensor', total) / sum(0.5**j for j in range(len(used) + 1))


def _check_grids(grids: Sequence[int]) -> None:
    fits = (
        isinstance(grids, (list, tuple))
        and all(is_integer(cells) and cells >= 1 for cells in grids)
        and all(a > b for a, b in zip(grids, grids[1:]))
    )
    if not fits:
        raise ConfigError(
            f'`grids` must be falling numbers of cells >= 1, but is {grids!r}.'
        )


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
        slopes = difference * (slope / difference[0, 0].numel())
        slopes += rows.T @ (slope * averages) @ columns
        student = slopes if ctx.needs_input_grad[0] else None
        teacher = -slopes if ctx.needs_input_grad[1] else None
        return student, teacher, None, None, None


@MODELS.register_module()
class ReviewKDFusion(nn.Module):
    r"""Fuses each level of the student's pyramid with the deeper ones.

    From the deepest level :math:`L` to the first:

    .. math::
        y_l &= \operatorname{BN}(W_l * F_l), \qquad
        r_l = \operatorname{nearest}(z_{l+1}) \\
        z_l &= a_l \odot y_l + b_l \odot r_l, \qquad
        (a_l, b_l) = \sigma(A_l * [y_l, r_l]), \qquad z_L = y_L \\
        G_l &= \operatorname{BN}(V_l * z_l)

    :math:`W` and :math:`A` are 1x1, :math:`V` are 3x3 convolutions; the two attention
    maps :math:`a, b` weigh a level against what came from below. :math:`G_l` is
    compared with the teacher's level :math:`l`, :math:`z_l` goes on. As the authors'
    detection code, it upsamples to the actual size of a level, so any input size will
    do; their attention over concatenated maps is computed without concatenating them.

    Args:
        levels: Number of levels.
        channels: Channels of the teacher's levels, a number for all or one for each.
        mid_channels: Channels in which levels are fused.
        in_channels: Channels of the student's levels; as the teacher's if not given.

    Raises:
        ConfigError: The numbers are not positive or not as many as the levels.

    Examples:
        >>> fusion = ReviewKDFusion(levels=2, channels=8, mid_channels=4)
        >>> [tuple(x.shape) for x in fusion((torch.randn(2, 8, 6, 10),
        ...                                  torch.randn(2, 8, 3, 5)))]
        [(2, 8, 6, 10), (2, 8, 3, 5)]
    """

    def __init__(
        self,
        levels: int,
        channels: int | Sequence[int] = 256,
        mid_channels: int = 256,
        *,
        in_channels: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        check_integer('ReviewKDFusion.levels', levels, ge=1)
        check_integer('ReviewKDFusion.mid_channels', mid_channels, ge=1)
        after = before = _each_level('channels', channels, levels)
        if in_channels is not None:
            before = _each_level('in_channels', in_channels, levels)
        self.blocks = nn.ModuleList(
            _FusionBlock(before[i], mid_channels, after[i], deepest=i == levels - 1)
            for i in range(levels)
        )

    def forward(self, pyramid: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps the levels, from large to small, to as many of the same sizes."""
        several = isinstance(pyramid, (list, tuple))
        if not several or len(pyramid) != len(self.blocks):
            given = len(pyramid) if several else type(pyramid).__name__
            raise ShapeError(
                f'`ReviewKDFusion` has levels={len(self.blocks)}, but got {given}; set '
                '`levels`, or choose levels with `item`.'
            )
        fused: list[Tensor] = []
        deeper = None
        for index in reversed(range(len(pyramid))):
            out, deeper = self.blocks[index](pyramid[index], deeper, index)
            fused.append(out)
        return tuple(reversed(fused))


class _FusionBlock(nn.Module):
    """Attention based fusion of one level with what comes from the deeper ones."""

    def __init__(
        self, in_channels: int, mid_channels: int, out_channels: int, *, deepest: bool
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(in_channels, mid_channels, 1, bias=False)
        self.enter_norm = BatchNorm(mid_channels)
        self.attention = None if deepest else nn.Conv2d(2 * mid_channels, 2, 1)
        self.leave = nn.Conv2d(mid_channels, out_channels, 3, padding=1, bias=False)
        self.leave_norm = BatchNorm(out_channels)
        for conv in (self.enter, self.leave):
            nn.init.kaiming_uniform_(conv.weight, a=1)

    def forward(
        self, level: Tensor, deeper: Tensor | None, index: int
    ) -> tuple[Tensor, Tensor]:
        """Returns what is compared, and what goes on to the next larger level."""
        taker = f'Level {index} of `ReviewKDFusion`'
        check_map(taker, level, self.enter.in_channels, 'in_channels')
        fused = self.enter_norm(self.enter(level))
        if self.attention is not None and deeper is not None:
            fused = self._fuse(self.attention, fused, deeper)
        return self.leave_norm(self.leave(fused)), fused

    @staticmethod
    def _fuse(attention: nn.Conv2d, level: Tensor, deeper: Tensor) -> Tensor:
        """Weighs both by two maps of attention.

        A 1x1 convolution of both, concatenated, is a sum of one of each; and it may be
        applied before upsampling. So the largest maps, twice as wide, never exist.
        """
        size = level.shape[2:]
        of_level, of_deeper = attention.weight.chunk(2, 1)
        scores = F.conv2d(level, of_level, attention.bias) + F.interpolate(
            F.conv2d(deeper, of_deeper), size
        )
        level_gate, deeper_gate = scores.sigmoid().chunk(2, 1)
        return level * level_gate + F.interpolate(deeper, size) * deeper_gate


def _each_level(name: str, value: int | Sequence[int], levels: int) -> list[int]:
    several = isinstance(value, (list, tuple))
    numbers: list[Any] = [*value] if several else [value] * levels  # type: ignore[misc]
    if len(numbers) != levels:
        raise ConfigError(
            f'`ReviewKDFusion.{name}` must be one number, or one for each of '
            f'{levels} levels, but is {value!r}.'
        )
    for number in numbers:
        check_integer(f'ReviewKDFusion.{name}', number, ge=1)
    return numbers


@MODELS.register_module()
class ReviewKDLoss(PairLoss):
    """Hierarchical context loss: squared difference of maps and of averages on grids.

    See :func:`pooled_error`. Goes with a :class:`ReviewKDFusion` on the student's side.

    Args:
        grids: Cells along each side of a grid, falling.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    def __init__(self, grids: Sequence[int] = (4, 2, 1), **policy: Any) -> None:
        super().__init__(**policy)
        _check_grids(grids)
        self.grids = tuple(grids)

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the distance of each channel ``(n c)``."""
        return pooled_error(student, teacher, grids=self.grids)
