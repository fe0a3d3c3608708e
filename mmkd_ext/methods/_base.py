"""Base class of all losses between a student and a teacher."""

from __future__ import annotations

import inspect
import warnings
from abc import ABC, abstractmethod
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any, ClassVar, Union

import torch
from torch import Tensor, nn

from mmkd_ext.errors import ConfigError, ShapeError, check_choice, check_range

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['Levels', 'PairLoss', 'StudentLoss', 'at_least_float32', 'pair_levels']

Levels = Union[Tensor, 'Sequence[Tensor]']
"""One tensor, or a pyramid: a tuple or list with one tensor a level."""

_REDUCTIONS = ('none', 'sum', 'mean', 'batchmean')


class PairLoss(nn.Module, ABC):
    """Base of losses that compare student and teacher.

    A subclass implements `compute`, which returns one value for each independent item.
    This class detaches the teacher, computes in at least float32 also under autocast,
    sums over the levels of a pyramid, reduces and weights.

    Args:
        loss_weight: Factor on the result, >= 0.
        reduction: How the items that `compute` returns become one number: their
            ``'sum'``, their ``'mean'``, ``'batchmean'`` (sum divided by the batch
            size) or ``'none'``. Defaults to what the method's paper uses.
        teacher_detach: Stop gradients to the teacher.
    """

    default_reduction: ClassVar[str] = 'mean'
    """Reduction of the paper."""

    alignable: ClassVar[frozenset[str]] = frozenset({'size'})
    """What may be aligned before the loss: ``'channels'`` by a learned 1x1 convolution,
    ``'size'`` by interpolation."""

    any_shape: ClassVar[frozenset[str]] = frozenset()
    """What may differ between the sides without alignment: ``'channels'``, for losses
    that compare relations and not the features themselves, and ``'size'``, for those
    that bring both to one size themselves."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for old, new in (('aligns', 'alignable'), ('free', 'any_shape')):
            if old in vars(cls):
                warnings.warn(
                    f'`{cls.__name__}.{old}` is now called `{new}`; the old name will '
                    'go in the next release.',
                    FutureWarning,
                    stacklevel=2,
                )
                setattr(cls, new, vars(cls)[old])

    def __init__(
        self,
        *,
        loss_weight: float = 1.0,
        reduction: str | None = None,
        teacher_detach: bool = True,
    ) -> None:
        super().__init__()
        reduction = self.default_reduction if reduction is None else reduction
        check_range('loss_weight', loss_weight, low=0)
        check_choice('reduction', reduction, _REDUCTIONS)
        self.loss_weight = loss_weight
        self.reduction = reduction
        self.teacher_detach = teacher_detach

    @abstractmethod
    def compute(self, student: Tensor, teacher: Tensor, **extras: Any) -> Tensor:
        """Returns the items of one level; the first axis is the batch.

        Args:
            student: Student's side ``(n ...)``, float32 or better.
            teacher: Teacher's side, detached if that is the policy.
            extras: What else the method takes, by name.
        """

    def compute_levels(
        self, levels: list[tuple[Tensor, Tensor]], **extras: Any
    ) -> list[Tensor]:
        """Returns the items of every level.

        Override it, with the extras as named parameters, only where levels have
        parameters of their own or share work; `compute` is then for one level.

        Args:
            levels: Student's and teacher's side of each level, as `compute` gets them.
            extras: What else the method takes, by name.
        """
        return list(starmap(partial(self.compute, **extras), levels))

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where one level of two sides can never be compared.

        Called before alignment is planned; override it where the method can say more
        than the shapes alone.

        Raises:
            ShapeError: The sides do not belong together.
        """

    @classmethod
    def arguments(cls) -> dict[str, bool]:
        """Names that a link may give, and whether each one is required."""
        names = {'preds_S': True, 'preds_T': True}
        own = cls.compute_levels is not PairLoss.compute_levels
        takes = inspect.signature(cls.compute_levels if own else cls.compute)
        parameters = list(takes.parameters.values())[2 if own else 3 :]
        for parameter in parameters:
            if parameter.kind is not parameter.VAR_KEYWORD:
                names[parameter.name] = parameter.default is parameter.empty
        return names

    def forward(self, preds_S: Levels, preds_T: Levels, **extras: Any) -> Tensor:
        """Returns the weighted loss, summed over the levels.

        Args:
            preds_S: Student's side, a tensor or a pyramid.
            preds_T: Teacher's side, of the same form.
            extras: What else `compute` takes.

        Raises:
            ShapeError: One side is a pyramid of another length.
        """
        levels = pair_levels(preds_S, preds_T)
        if self.reduction == 'none' and len(levels) > 1:
            raise ConfigError(
                f"`{type(self).__name__}` with reduction='none' takes one level, but "
                f'got {len(levels)}; choose another reduction or one link a level.'
            )
        with torch.autocast(levels[0][0].device.type, enabled=False):
            prepared = [self._prepare(s, t) for s, t in levels]
            items = self.compute_levels(prepared, **extras)
            parts = [self._reduce(level) for level in items]
        return self.loss_weight * sum(parts[1:], parts[0])

    def extra_repr(self) -> str:
        return f'loss_weight={self.loss_weight}, reduction={self.reduction!r}'

    def _prepare(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        if self.teacher_detach:
            teacher = teacher.detach()
        return at_least_float32(student), at_least_float32(teacher)

    def _reduce(self, items: Tensor) -> Tensor:
        return reduced(items, self.reduction)


class StudentLoss(nn.Module):
    """Base of losses that need the student's side alone, and no teacher.

    A subclass has a `forward` with its arguments by name, which returns what `finish`
    makes of one value for each independent item.

    Args:
        loss_weight: Factor on the result, >= 0.
        reduction: As for `PairLoss`.
    """

    def __init__(self, *, loss_weight: float = 1.0, reduction: str = 'mean') -> None:
        super().__init__()
        check_range('loss_weight', loss_weight, low=0)
        check_choice('reduction', reduction, _REDUCTIONS)
        self.loss_weight = loss_weight
        self.reduction = reduction

    def finish(self, items: Tensor) -> Tensor:
        """Returns the weighted loss of the items; the first axis is the batch."""
        return self.loss_weight * reduced(items, self.reduction)

    def extra_repr(self) -> str:
        return f'loss_weight={self.loss_weight}, reduction={self.reduction!r}'


def reduced(items: Tensor, reduction: str) -> Tensor:
    """Returns the items as one number, or as they are, see `PairLoss`."""
    if reduction == 'none':
        return items
    # a sum that is divided: the gradient of a mean would fill a whole map
    count = {'sum': 1, 'mean': items.numel(), 'batchmean': items.shape[0]}
    # of no items the sum, 0, still reaches the student
    return items.sum() / max(count[reduction], 1)


def pair_levels(student: Levels, teacher: Levels) -> list[tuple[Tensor, Tensor]]:
    """Pairs the levels of both sides.

    Raises:
        ShapeError: Only one side is a pyramid, a side is empty or not made of
            tensors, or the lengths differ.
    """
    if isinstance(student, Tensor) and isinstance(teacher, Tensor):
        return [(student, teacher)]
    sides = {}
    for name, side in (('preds_S', student), ('preds_T', teacher)):
        levels = [side] if isinstance(side, Tensor) else side
        if (
            not isinstance(levels, (list, tuple))
            or not levels
            or not all(isinstance(level, Tensor) for level in levels)
        ):
            raise ShapeError(
                f'`{name}` must be a tensor or a non-empty tuple of tensors, but is '
                f'{_describe(side)}; choose one with `item`.'
            )
        sides[name] = levels
    if len(sides['preds_S']) != len(sides['preds_T']):
        raise ShapeError(
            f'`preds_S` is {_describe(student)}, `preds_T` is {_describe(teacher)}; '
            'both need the same number of levels. Choose levels with '
            '`item=[0, 1, ...]`.'
        )
    return list(zip(sides['preds_S'], sides['preds_T']))


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f'one tensor {tuple(value.shape)}'
    if isinstance(value, (list, tuple)):
        shapes = ', '.join(
            str(tuple(v.shape)) if isinstance(v, Tensor) else type(v).__name__
            for v in value
        )
        return f'{type(value).__name__} of {len(value)} ({shapes})'
    return f'{type(value).__name__}'


def at_least_float32(x: Tensor) -> Tensor:
    """Returns half precision as float32, anything else as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
