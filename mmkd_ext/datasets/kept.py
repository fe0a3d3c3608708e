"""A transform that keeps what a teacher sees of the scene, and the student does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose

from mmkd_ext.errors import ConfigError, DataError
from mmkd_ext.registry import TRANSFORMS

__all__ = ['KeepInput']


@TRANSFORMS.register_module()
class KeepInput(BaseTransform):
    """Keeps the picture as it is now in a field of its sample.

    For a teacher with ``input=key`` in `teachers`: it sees this picture, the student
    what the other transforms make of it, such as its view in rain. What moves pixels
    (resizing, cropping, flipping) stands before this transform, so that both are of the
    same places.

    Args:
        key: Name of the field; it gets the picture's values ``(c h w)`` in float32.
        transforms: The rest of the pipeline, which ends by packing.

    Raises:
        ConfigError: `transforms` is empty.
        DataError: They do not pack, or change the size.

    Examples:
        .. code-block:: python

            dict(
                type='mmkd_ext.KeepInput',
                key='clear',
                transforms=[
                    dict(type='mmkd_ext.Corrupt', kind='rain', severity=4),
                    dict(type='mmseg.PackSegInputs'),
                ],
            )
    """

    def __init__(self, key: str, transforms: Sequence[Any]) -> None:
        if not transforms:
            raise ConfigError(
                '`KeepInput.transforms` is empty: give the transforms that follow, up '
                "to dict(type='mmseg.PackSegInputs')."
            )
        self.key = key
        self.transforms = Compose(list(transforms))

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Returns what the transforms pack, with the picture in its sample."""
        image = results['img']
        image = image.reshape(*image.shape[:2], -1).transpose(2, 0, 1)
        kept = torch.from_numpy(image.astype(np.float32))
        packed = self.transforms(results)
        if packed is None:
            return None
        size = getattr(packed.get('inputs'), 'shape', ())[-2:]
        if size != kept.shape[1:]:
            raise DataError(
                f'`KeepInput`: the picture has {tuple(kept.shape[1:])}, and what its '
                f'transforms packed {tuple(size) or "nothing"}. End with a transform '
                'that packs, and put what changes the size before `KeepInput`.'
            )
        packed['data_samples'].set_field(kept, self.key)
        return dict(packed)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(key={self.key!r}, transforms={self.transforms})'
