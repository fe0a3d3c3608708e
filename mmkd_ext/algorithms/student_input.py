"""Pictures of a student that are smaller than those of its teachers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData, PixelData

from mmkd_ext.connectors import RoIClassify
from mmkd_ext.errors import Problem, ShapeError, check_keys, check_range

if TYPE_CHECKING:
    from torch import Tensor

    from mmkd_ext.distillers.link_distiller import LinkDistiller

__all__ = ['StudentInput']

_DENOMINATOR = 64  # the largest


class StudentInput:
    """Scales a batch with all that is measured in its pixels.

    Pictures are interpolated bilinearly, as test pipelines resize them, and label maps
    take the nearest label; boxes and masks follow, as do the shapes and the
    ``scale_factor`` in the metainfo. Pixel centres stay where they are in the picture,
    so nothing is shifted.

    Args:
        config: ``dict(scale=...)``: sides of the student's pictures as a share of the
            batch's, 1/64 to 1, a ratio of small whole numbers such as 0.5 or 0.375.
        path: Its config path.

    Raises:
        ConfigError: There is another key, or the scale is no such share.
    """

    def __init__(self, config: Any, path: str = 'student_input') -> None:
        check_keys(path, config, ('scale',))
        scale = config.get('scale')
        check_range(f'{path}.scale', scale, ge=1 / _DENOMINATOR, le=1)
        # 0.333 is a third: sides must be whole numbers
        self.scale = Fraction(scale).limit_denominator(_DENOMINATOR)

    def __call__(
        self, inputs: Tensor, data_samples: Sequence[Any] | None
    ) -> dict[str, Any]:
        """Returns the pictures ``(n c h w)`` and the samples, scaled, by name.

        Raises:
            ShapeError: A side of the batch times the scale is no whole number.
        """
        height, width = (side * self.scale for side in inputs.shape[2:])
        if height.denominator > 1 or width.denominator > 1:
            whole = self.scale.denominator
            raise ShapeError(
                f'pictures of {tuple(inputs.shape[2:])} cannot be scaled by '
                f'{self.scale}: both sides must be multiples of {whole}. Crop them so, '
                f'or pad them: pad_size_divisor={32 * whole} of the data preprocessor.'
            )
        size = (int(height), int(width))
        small = F.interpolate(inputs, size, mode='bilinear', align_corners=False)
        samples = None if data_samples is None else [*map(self._scaled, data_samples)]
        return {'inputs': small, 'data_samples': samples}

    def blank_sizes(
        self, size: tuple[int, int]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns sizes of a student's and a teacher's picture, for a dry run.

        Args:
            size: Height and width that both models take.
        """
        small, large = self.scale.numerator, self.scale.denominator
        height, width = (
            side if small == 1 else 32 * -(-side // (32 * small)) for side in size
        )
        return (small * height, small * width), (large * height, large * width)

    def link_problems(self, distiller: LinkDistiller) -> list[Problem]:
        """Returns a problem for each link with places of one side on the other."""
        found = 'takes regions of the student, which sees pictures of another size.'
        hint = 'Compare features of both models, such as those at the neck.'
        return [
            Problem(link.where(f'{key}.connector'), found, hint, link.name)
            for link in distiller.links
            for key, tap in link.all_taps()
            if tap.connector is not None
            for part in distiller.connectors[tap.connector].modules()
            if isinstance(part, RoIClassify)
        ]

    def _scaled(self, sample: Any) -> Any:
        """Returns a copy of a sample at the student's size."""
        new = sample.new()
        for name, part in sample.items():
            if isinstance(part, PixelData):
                own = {key: self._nearest(value) for key, value in part.items()}
                new.set_data({name: part.new(**own)})
            elif isinstance(part, InstanceData):
                own = {key: self._placed(key, value) for key, value in part.items()}
                new.set_data({name: part.new(**own)})
        meta = dict(sample.metainfo_items())
        for key in meta.keys() & {'img_shape', 'pad_shape', 'batch_input_shape'}:
            meta[key] = (*self._size(meta[key][:2]), *meta[key][2:])
        if 'scale_factor' in meta:
            factors = meta['scale_factor']
            meta['scale_factor'] = tuple(f * float(self.scale) for f in factors)
        new.set_metainfo(meta)
        return new

    def _nearest(self, labels: Tensor) -> Tensor:
        """Takes the label at the centre of each pixel of a map ``(... h w)``."""
        up, down = self.scale.denominator, 2 * self.scale.numerator
        sides = labels.shape[-2:]
        rows, columns = (
            ((2 * torch.arange(new) + 1) * up // down).clamp(max=old - 1)
            for new, old in zip(self._size(sides), sides)
        )
        return labels[..., rows, :][..., columns]

    def _placed(self, key: str, value: Any) -> Any:
        """Scales boxes and masks; whatever else instances have stays."""
        if key == 'masks':
            return value.resize(self._size((value.height, value.width)))
        if key != 'bboxes':
            return value
        if isinstance(value, torch.Tensor):
            return value * float(self.scale)
        boxes = value.clone()
        boxes.rescale_((float(self.scale), float(self.scale)))
        return boxes

    def _size(self, size: Sequence[int]) -> tuple[int, int]:
        """Scales height and width; a part of a pixel at the border is one."""
        height, width = (math.ceil(side * self.scale) for side in size)
        return height, width
