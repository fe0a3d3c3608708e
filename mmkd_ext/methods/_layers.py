"""Base of losses that compare all layers of the student with all of the teacher."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mmkd_ext.errors import ConfigError, ShapeError, check_integer
from mmkd_ext.methods._base import PairLoss, as_levels, at_least_float32

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mmkd_ext.methods._base import Levels

__all__ = ['CrossLayerLoss']


class CrossLayerLoss(PairLoss):
    """Base of losses in which attention says how much each pair of layers counts.

    Both sides are layers of any channels and sizes, and their numbers may differ, so
    nothing is aligned before the loss. A subclass fills in `compute_layers`.

    Args:
        student_channels: Channels of the student's layers.
        teacher_channels: Channels of the teacher's layers.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Raises:
        ConfigError: A side has no layers, or channels that are no integer >= 1.
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(
        self,
        student_channels: Sequence[int],
        teacher_channels: Sequence[int],
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        self.student_channels = _channels('student_channels', student_channels)
        self.teacher_channels = _channels('teacher_channels', teacher_channels)

    @abstractmethod
    def compute_layers(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor]
    ) -> Tensor:
        """Returns the items of all layers together; the first axis is the batch.

        Args:
            student: Maps ``(n c h w)`` of the student, float32 or better, of checked
                shapes; what was a vector is a map of one position.
            teacher: Maps of the teacher.
        """

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the items of one layer on each side."""
        return self.compute_layers([student], [teacher])

    def check_layers(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor]
    ) -> None:
        """Raises unless the layers are maps of one batch with the channels given.

        Args:
            student: Maps ``(n c h w)``, or vectors ``(n c)``.
            teacher: The same.

        Raises:
            ShapeError: There are more or fewer layers, one is no map, or has other
                channels or another batch.
        """
        batch = tuple(student[0].shape[:1])
        for name, layers, channels in (
            ('student', student, self.student_channels),
            ('teacher', teacher, self.teacher_channels),
        ):
            found = [tuple(layer.shape) for layer in layers]
            if (
                any(len(shape) not in (2, 4) or shape[:1] != batch for shape in found)
                or tuple(shape[1] for shape in found) != channels
            ):
                raise ShapeError(
                    f'`{type(self).__name__}` takes maps (n c h w) of one batch, with '
                    f'{channels} channels of the {name}, but got {found}; set '
                    f'`{name}_channels`, or choose layers with `item`.'
                )

    def forward(self, preds_S: Levels, preds_T: Levels) -> Tensor:  # type: ignore[override]
        """Returns the weighted loss of all layers.

        Args:
            preds_S: The student's layers, a tensor or a pyramid.
            preds_T: The teacher's layers; there may be more or fewer of them.

        Raises:
            ShapeError: The layers do not fit the channels, see `check_layers`.
        """
        student, teacher = as_levels('preds_S', preds_S), as_levels('preds_T', preds_T)
        self.check_layers(student, teacher)
        if self.teacher_detach:
            teacher = [layer.detach() for layer in teacher]
        with torch.autocast(student[0].device.type, enabled=False):
            items = self.compute_layers(
                [_as_map(at_least_float32(layer)) for layer in student],
                [_as_map(at_least_float32(layer)) for layer in teacher],
            )
            return self.loss_weight * self._reduce(items)


def _as_map(layer: Tensor) -> Tensor:
    return layer[:, :, None, None] if layer.dim() == 2 else layer


def _channels(name: str, value: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigError(
            f'`{name}` must list the channels of each layer, but is {value!r}.'
        )
    for number in value:
        check_integer(name, number, ge=1)
    return tuple(value)
