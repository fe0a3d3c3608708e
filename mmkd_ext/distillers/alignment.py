"""Aligns the two sides of a link: channels by a 1x1 convolution, size by resizing.

The alignment is planned from the shapes of a dry run, so that its parameters exist
before the optimizer is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.connectors.adapters import ConvAdapter
from mmkd_ext.errors import ShapeError
from mmkd_ext.methods import PairLoss
from mmkd_ext.methods._base import pair_levels
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['PairAlign', 'about_tokens', 'ours_instead', 'plan_alignment']


class PairAlign(nn.Module):
    """Brings the student's side to the channels and size of the teacher's.

    The student's side is interpolated bilinearly to the teacher's size; the teacher's
    values do not change.

    Args:
        channels: For each level, student and teacher channels if they differ.
        resize: For each level, whether the size may differ.
        differs: Whether some size did in the dry run, for reports.
    """

    def __init__(
        self,
        channels: Sequence[tuple[int, int] | None],
        resize: Sequence[bool],
        *,
        differs: bool = True,
    ) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(
            nn.Identity() if pair is None else ConvAdapter(*pair) for pair in channels
        )
        self.channels = tuple(channels)
        self.resize = tuple(resize)
        self.differs = differs

    def forward(self, student: Any, teacher: Any) -> Any:
        """Returns the student's side aligned; a pyramid stays one."""
        levels = pair_levels(student, teacher)
        if len(levels) != len(self.adapters):
            raise ShapeError(
                f'The link was planned for {len(self.adapters)} levels, '
                f'but has {len(levels)}.'
            )
        aligned = tuple(
            _resize(adapter(s), t) if resize else adapter(s)
            for (s, t), adapter, resize in zip(levels, self.adapters, self.resize)
        )
        return aligned[0] if isinstance(student, Tensor) else aligned

    def describe(self) -> str:
        """Returns a short description, for reports."""
        parts = [f'1x1 conv {pair[0]}->{pair[1]}' for pair in self.channels if pair]
        if self.differs:
            parts.append('bilinear to the teacher')
        return ', '.join(parts) or 'none'


def _resize(student: Tensor, teacher: Tensor) -> Tensor:
    if student.shape[2:] == teacher.shape[2:]:
        return student
    return F.interpolate(
        student, teacher.shape[2:], mode='bilinear', align_corners=False
    )


def about_tokens(*sides: Any) -> str:
    """Returns a hint if a side may be the tokens of a transformer, ``(n l c)``."""
    for side in sides:
        if isinstance(side, (list, tuple)):
            hint = about_tokens(*side)
        elif isinstance(side, Tensor) and side.dim() == 3:
            hint = (
                f' If {tuple(side.shape)} are tokens (n l c), give their tap '
                "connector=dict(type='mmkd_ext.TokensToMap')."
            )
        else:
            hint = ''
        if hint:
            return hint
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
    ours = MODELS.get(f'mmkd_ext.{_INSTEAD.get(kind, kind)}')
    if isinstance(loss, PairLoss) or ours is None or not issubclass(ours, PairLoss):
        return ''
    taken = ' and '.join(sorted(ours.alignable | ours.any_shape))
    return f'`mmkd_ext.{ours.__name__}` takes other {taken} itself.' if taken else ''


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
    if not isinstance(loss, PairLoss):
        return None
    channels: list[tuple[int, int] | None] = []
    resize = []
    differ = False
    for s, t in pair_levels(student, teacher):
        loss.check_pair(s, t)
        if s.dim() != t.dim():
            raise ShapeError(
                f'student {tuple(s.shape)} and teacher {tuple(t.shape)} '
                f'differ in the number of axes.{about_tokens(s, t)}'
            )
        if s.dim() == 3 and s.shape != t.shape:
            raise ShapeError(
                f'student {tuple(s.shape)} and teacher {tuple(t.shape)} differ, and '
                f'only maps can be aligned.{about_tokens(s, t)}'
            )
        pair = None
        if s.dim() > 1 and s.shape[1] != t.shape[1]:
            if classes:
                raise ShapeError(
                    f'student {tuple(s.shape)} and teacher {tuple(t.shape)} differ in '
                    'classes; both models must predict the same classes. Take a '
                    'teacher of the same data set, or compare features instead.'
                )
            known = loss.alignable | loss.any_shape
            any_width = 'channels' in loss.any_shape
            if 'channels' not in known or (s.dim() != 4 and not any_width):
                raise ShapeError(
                    f'student {tuple(s.shape)} and teacher {tuple(t.shape)} differ in '
                    f'channels, which `{type(loss).__name__}` does not align; give '
                    "preds_S connector=dict(type='mmkd_ext.ConvAdapter', "
                    f'in_channels={s.shape[1]}, out_channels={t.shape[1]}).'
                )
            if not any_width:
                pair = (s.shape[1], t.shape[1])
        differs = s.shape[2:] != t.shape[2:] and 'size' not in loss.any_shape
        if differs and ('size' not in loss.alignable or s.dim() != 4):
            raise ShapeError(
                f'student {tuple(s.shape)} and teacher {tuple(t.shape)} differ in '
                f'size, which `{type(loss).__name__}` does not align.'
            )
        channels.append(pair)
        sizes = loss.alignable - loss.any_shape
        resize.append(s.dim() == 4 and 'size' in sizes)
        differ = differ or differs
    if not any(channels) and not differ:
        return None
    return PairAlign(channels, resize, differs=differ)
