"""Aligns the two sides of a link: channels by a linear map, size by resizing.

The alignment is planned from the shapes of a dry run, so that its parameters exist
before the optimizer is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.connectors.adapters import ConvAdapter, LinearAdapter
from mmkd_ext.errors import ShapeError
from mmkd_ext.methods import PairLoss
from mmkd_ext.methods._base import as_levels, pair_levels
from mmkd_ext.methods._layers import CrossLayerLoss
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['PairAlign', 'about_tokens', 'ours_instead', 'plan_alignment']


class PairAlign(nn.Module):
    """Brings the student's side to the channels and size of the teacher's.

    The student's side is interpolated bilinearly; the teacher's values do not change.

    Args:
        channels: For each level, student and teacher channels if they differ.
        resize: For each level, whether the size may differ.
        maps: For each level, whether it is a map, which a convolution adapts, or
            vectors or tokens, which a linear layer does.
        differs: Whether some size did in the dry run, for reports.
    """

    def __init__(
        self,
        channels: Sequence[tuple[int, int] | None],
        resize: Sequence[bool],
        maps: Sequence[bool],
        *,
        differs: bool = True,
    ) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(
            nn.Identity()
            if pair is None
            else (ConvAdapter(*pair) if is_map else LinearAdapter(*pair))
            for pair, is_map in zip(channels, maps)
        )
        self.channels = tuple(channels)
        self.resize = tuple(resize)
        self.maps = tuple(maps)
        self.differs = differs

    def forward(self, student: Any, teacher: Any) -> Any:
        """Returns the student's side aligned; a pyramid stays one."""
        levels = pair_levels(student, teacher)
        if len(levels) != len(self.adapters):
            raise ShapeError(
                f'The link was planned for {len(self.adapters)} levels, '
                f'but has {len(levels)}.'
            )
        aligned = []
        for (s, t), adapter, resize in zip(levels, self.adapters, self.resize):
            s, size = adapter(s), t.shape[2:]
            if resize and s.shape[2:] != size:
                s = F.interpolate(s, size, mode='bilinear', align_corners=False)
            aligned.append(s)
        return aligned[0] if isinstance(student, Tensor) else tuple(aligned)

    def describe(self) -> str:
        """Returns a short description, for reports."""
        parts = [
            f'{"1x1 conv" if is_map else "linear"} {pair[0]}->{pair[1]}'
            for pair, is_map in zip(self.channels, self.maps)
            if pair
        ]
        if self.differs:
            parts.append('bilinear to the teacher')
        return ', '.join(parts) or 'none'


def about_tokens(*sides: Any) -> str:
    """Returns a hint if a side may be the tokens of a transformer, ``(n l c)``."""
    for side in sides:
        if isinstance(side, (list, tuple)):
            hint = about_tokens(*side)
            if hint:
                return hint
        elif isinstance(side, Tensor) and side.dim() == 3:
            return (
                f' If {tuple(side.shape)} are tokens (n l c), give their tap '
                "connector=dict(type='mmkd_ext.TokensToMap')."
            )
    return ''


#: Losses of MMRazor that have another name here.
_INSTEAD = {
    'ChannelWiseDivergence': 'CWDLoss',
    'KLDivergence': 'KDLoss',
    'L2Loss': 'FitNetsLoss',
}


def ours_instead(loss: nn.Module) -> str:
    """Returns a hint at our loss of the same kind, if it takes other shapes; or ``''``.

    Args:
        loss: A loss of another package.
    """
    kind = type(loss).__name__
    cls = MODELS.get(f'mmkd_ext.{_INSTEAD.get(kind, kind)}')
    if isinstance(loss, PairLoss) or cls is None or not issubclass(cls, PairLoss):
        return ''
    taken = ' and '.join(sorted(cls.alignable | cls.any_shape))
    return f'`mmkd_ext.{cls.__name__}` takes other {taken} itself.' if taken else ''


def plan_alignment(
    loss: nn.Module, student: Any, teacher: Any, *, classes: bool
) -> PairAlign | None:
    """Plans how the student's side is aligned with the teacher's.

    Args:
        loss: The loss; only for a `PairLoss` is it known what may be aligned.
        student: Student's side of the dry run, after its connector.
        teacher: Teacher's side.
        classes: Whether the channels of both sides are classes, which no convolution
            may mix.

    Returns:
        The alignment, or None where nothing is to be done.

    Raises:
        ShapeError: The sides differ in what the loss does not allow to align.
    """
    if isinstance(loss, CrossLayerLoss):
        loss.check_layers(as_levels('preds_S', student), as_levels('preds_T', teacher))
        return None
    if not isinstance(loss, PairLoss):
        return None
    levels = pair_levels(student, teacher)
    channels = [_channels(loss, s, t, classes=classes) for s, t in levels]
    maps = [s.dim() == 4 for s, _ in levels]
    resize = [is_map and 'size' in loss.alignable - loss.any_shape for is_map in maps]
    differ = 'size' not in loss.any_shape and any(
        s.dim() != 3 and s.shape[2:] != t.shape[2:] for s, t in levels
    )
    if not any(channels) and not differ:
        return None
    return PairAlign(channels, resize, maps, differs=differ)


def _channels(
    loss: PairLoss, s: Tensor, t: Tensor, *, classes: bool
) -> tuple[int, int] | None:
    """Returns the channels of a level's two sides where they must be made equal.

    Raises:
        ShapeError: The sides differ in what the loss does not allow to align.
    """
    loss.check_pair(s, t)
    sides = f'student {tuple(s.shape)} and teacher {tuple(t.shape)}'
    kind = type(loss).__name__
    if s.dim() != t.dim():
        raise ShapeError(f'{sides} differ in the number of axes.{about_tokens(s, t)}')
    tokens = s.dim() == 3 and loss.takes_vectors
    if s.dim() == 3 and (s.shape[1] != t.shape[1] if tokens else s.shape != t.shape):
        raise ShapeError(
            f'{sides} differ, and only maps can be aligned.{about_tokens(s, t)}'
        )
    free = tokens or 'size' in loss.any_shape
    fits = s.shape[2:] == t.shape[2:] or ('size' in loss.alignable and s.dim() == 4)
    if not free and not fits:
        raise ShapeError(f'{sides} differ in size, which `{kind}` does not align.')
    # tokens have their channels last
    axis = 2 if tokens else 1
    if s.dim() < 2 or s.shape[axis] == t.shape[axis]:
        return None
    widths = (s.shape[axis], t.shape[axis])
    if classes:
        raise ShapeError(
            f'{sides} differ in classes; both models must predict the same classes. '
            'Map those of the teacher with `mmkd_ext.ClassMap`, take a teacher of the '
            'same data set, or compare features instead.'
        )
    if 'channels' in loss.any_shape:
        return None
    mapped = s.dim() == 4 or (loss.takes_vectors and s.dim() == 2) or tokens
    if not mapped or 'channels' not in loss.alignable:
        adapter = 'ConvAdapter' if s.dim() == 4 else 'LinearAdapter'
        raise ShapeError(
            f'{sides} differ in channels, which `{kind}` does not align; give preds_S '
            f"connector=dict(type='mmkd_ext.{adapter}', in_channels={widths[0]}, "
            f'out_channels={widths[1]}).'
        )
    return widths
