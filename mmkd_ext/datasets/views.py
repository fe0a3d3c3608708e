"""Several views of each picture in one batch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmengine.dataset import pseudo_collate

from mmkd_ext.errors import ConfigError, DataError, check_integer
from mmkd_ext.registry import FUNCTIONS, TRANSFORMS

__all__ = ['QuarterTurns', 'Views', 'views_collate']


@TRANSFORMS.register_module()
class Views(BaseTransform):
    """Ends a pipeline with several views of its picture, each packed on its own.

    Put it last, and ``collate_fn=dict(type='mmkd_ext.views_collate')`` into the
    dataloader: a batch then holds the first view of all pictures, after these the
    second of all, and so on. It is as many times the dataloader's `batch_size` as there
    are views.

    Args:
        views: For each view its transforms, which end by packing.

    Raises:
        ConfigError: There is no view, or one without transforms.

    Examples:
        .. code-block:: python

            train_dataloader = dict(
                batch_size=64,
                collate_fn=dict(type='mmkd_ext.views_collate'),
                dataset=dict(pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='mmkd_ext.Views', views=[
                        [dict(type='PackInputs')],
                        [dict(type='ColorJitter', brightness=0.4),
                         dict(type='PackInputs')]])]))
    """

    def __init__(self, views: Sequence[Sequence[Any]]) -> None:
        if not views or not all(views):
            raise ConfigError(
                '`Views.views` needs a list of transforms for each view, each ending '
                "with one that packs, such as dict(type='PackInputs'), but is "
                f'{views!r}.'
            )
        self.views = [Compose(list(transforms)) for transforms in views]

    def transform(self, results: dict[str, Any]) -> list[Any] | None:
        """Returns what each view packs; None where one of them gave the picture up."""
        packed = [view(copy.deepcopy(results)) for view in self.views]
        return None if any(one is None for one in packed) else packed

    def __repr__(self) -> str:
        return f'{type(self).__name__}(views={self.views!r})'


@FUNCTIONS.register_module()
def views_collate(data_batch: Sequence[Any]) -> Any:
    """Collates what `Views` gives: the first view of all pictures, then the second.

    Args:
        data_batch: For each picture the list of its views.

    Raises:
        DataError: A picture has no list of views, or another number of them.
    """
    counts = {len(one) if isinstance(one, list) else None for one in data_batch}
    if len(counts) != 1 or None in counts:
        raise DataError(
            '`views_collate` takes a list of as many views for each picture; end the '
            "pipeline with dict(type='mmkd_ext.Views', ...)."
        )
    return pseudo_collate([view for views in zip(*data_batch) for view in views])


@TRANSFORMS.register_module()
class QuarterTurns(BaseTransform):
    """Turns picture and label map counterclockwise.

    Args:
        turns: Number of turns by 90 degrees, 0 to 3.
    """

    def __init__(self, turns: int) -> None:
        check_integer('turns', turns, ge=0, le=3)
        self.turns = turns

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Returns the results turned."""
        for key in ('img', 'gt_seg_map'):
            if key in results:
                turned = np.rot90(results[key], self.turns, axes=(0, 1))
                results[key] = np.ascontiguousarray(turned)
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(turns={self.turns})'
