"""A transform that keeps the image as it is before resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose

from mmkd_ext.errors import ConfigError, DataError
from mmkd_ext.registry import TRANSFORMS

__all__ = ['ORIGINAL', 'KeepOriginal']

#: The field of a data sample that holds the original.
ORIGINAL = 'original'


@TRANSFORMS.register_module()
class KeepOriginal(BaseTransform):
    """Keeps the picture as it is now, while other transforms resize and pack it.

    Methods of adaptation with scaled views (CoTTA) make them from the original, as the
    authors' code does: a view of twice the size then shows more than the network's
    input does, which could only be blown up. The sample gets the field ``original``,
    the bytes of the picture ``(c h w)`` with its channels as they were loaded, and
    mirrored where `RandomFlip` mirrored the input. It costs those bytes, and nothing
    where the transforms leave the size as it is.

    Args:
        transforms: The rest of the pipeline, which ends by packing: ``Resize``,
            ``RandomFlip``, annotations, and ``mmseg.PackSegInputs``. What changes the
            content, such as ``mmkd_ext.Corrupt`` or a crop, belongs before this
            transform, or the original would not have it.

    Raises:
        ConfigError: `transforms` is empty.
        DataError: The last of them does not pack.

    Examples:
        .. code-block:: python

            pipeline = [
                dict(type='LoadImageFromFile'),
                dict(
                    type='mmkd_ext.KeepOriginal',
                    transforms=[
                        dict(type='Resize', scale=(960, 540), keep_ratio=True),
                        dict(type='mmseg.LoadAnnotations'),
                        dict(type='mmseg.PackSegInputs'),
                    ],
                ),
            ]
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        if not transforms:
            raise ConfigError(
                '`KeepOriginal.transforms` is empty: give the transforms that follow, '
                "from `Resize` to dict(type='mmseg.PackSegInputs')."
            )
        self.transforms = Compose(list(transforms))

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Returns what the transforms pack, with the original in its sample."""
        original = results['img']
        packed = self.transforms(results)
        if packed is None:
            return None
        if 'data_samples' not in packed or 'inputs' not in packed:
            raise DataError(
                f'`KeepOriginal`: its transforms gave {sorted(packed)}, but the last '
                "of them must pack: end with dict(type='mmseg.PackSegInputs')."
            )
        sample = packed['data_samples']
        if tuple(original.shape[:2]) != tuple(packed['inputs'].shape[-2:]):
            sample.set_field(_channels_first(original, sample.metainfo), ORIGINAL)
        return dict(packed)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms!r})'


def _channels_first(image: np.ndarray, meta: dict[str, Any]) -> torch.Tensor:
    """Returns a picture ``(c h w)``, turned as its meta information says."""
    if meta.get('flip'):
        direction = meta.get('flip_direction') or 'horizontal'
        if direction in ('horizontal', 'diagonal'):
            image = image[:, ::-1]
        if direction in ('vertical', 'diagonal'):
            image = image[::-1]
    image = image.reshape(*image.shape[:2], -1)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
