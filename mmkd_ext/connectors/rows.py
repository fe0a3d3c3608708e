"""Predictions of dense heads as rows, in the order of the heads' own losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Union

import torch
from torch import Tensor, nn

from mmkd_ext.errors import ShapeError, check_integer
from mmkd_ext.registry import MODELS, register_old_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['ConcatLevels', 'FlattenPredictions']

Maps = Union[Tensor, 'Sequence[Tensor]']


@MODELS.register_module()
class FlattenPredictions(nn.Module):
    """Turns class maps ``(n a*k h w)`` into rows ``(n*h*w*a k)``, one a prior.

    The order is that of mmdet's heads: images, then positions line by line, then the
    `a` priors of a position. So row `i` of a teacher's map belongs to row `i` of the
    logits, labels and label weights with which the student's head calls its
    ``loss_cls``. RetinaNet, ATSS and GFL call it once a level, so their pyramids stay
    pyramids; FCOS calls it once for all levels, joined, as `ConcatLevels` does.

    Args:
        classes: Columns `k` of the head, ``cls_out_channels``: sigmoid heads have
            one for each class, softmax heads one more for the background.

    Examples:
        >>> import torch
        >>> FlattenPredictions(classes=80)(torch.zeros(2, 9 * 80, 4, 5)).shape
        torch.Size([360, 80])
    """

    yields_classes: ClassVar[bool] = True
    """Columns of what it returns are classes, which alignment must not mix."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        check_integer('FlattenPredictions.classes', classes, ge=1)
        self.classes = classes

    def forward(self, maps: Maps) -> Tensor | tuple[Tensor, ...]:
        """Returns the rows of a map, or of each map of a pyramid.

        Raises:
            ShapeError: A map has not four axes, or channels that are no multiple of
                the classes.
        """
        if isinstance(maps, Tensor):
            return self._flatten(maps)
        return tuple(self._flatten(level) for level in maps)

    def _flatten(self, scores: Tensor) -> Tensor:
        if scores.dim() != 4 or scores.shape[1] % self.classes:
            raise ShapeError(
                f'`FlattenPredictions` takes maps (n a*{self.classes} h w), but '
                f'got {tuple(scores.shape)}; set `classes` to the '
                '`cls_out_channels` of the head.'
            )
        return scores.permute(0, 2, 3, 1).reshape(-1, self.classes)


@MODELS.register_module()
class ConcatLevels(nn.Module):
    """Joins the rows of all levels into one matrix, or their labels into one vector.

    A loss that then takes a mean takes it over the rows of all levels together,
    instead of adding one mean for each level.

    Examples:
        >>> import torch
        >>> ConcatLevels()((torch.zeros(6, 80), torch.zeros(2, 80))).shape
        torch.Size([8, 80])
    """

    yields_classes: ClassVar[bool] = True
    """Columns of what it returns are classes, which alignment must not mix."""

    def forward(self, levels: Maps) -> Tensor:
        """Returns ``(r k)`` for rows and ``(r)`` for labels; one level stays itself.

        Raises:
            ShapeError: A level is neither rows nor labels, or the columns differ.
        """
        parts = [levels] if isinstance(levels, Tensor) else list(levels)
        shapes = [tuple(part.shape) for part in parts]
        if len({(len(x), x[1:]) for x in shapes}) != 1 or len(shapes[0]) not in (1, 2):
            raise ShapeError(
                f'`ConcatLevels` takes rows (r k) or labels (r) of several levels, but '
                f'got {shapes}; use `FlattenPredictions` before it for maps.'
            )
        return parts[0] if len(parts) == 1 else torch.cat(parts)


# former names, for one release
register_old_name(MODELS, 'DenseRows', FlattenPredictions)
register_old_name(MODELS, 'JoinRows', ConcatLevels)
