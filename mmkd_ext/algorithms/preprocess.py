"""Re-normalises and pads batches for a teacher.

A batch is normalised once, for the student. A teacher with other statistics sees it
re-normalised to its own, padding included, so the result equals what its own
preprocessor would have made of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from mmkd_ext.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    'InputStats',
    'Renormalize',
    'pad_batch',
    'padding_divisor',
    'preprocessor_of',
]


@dataclass(frozen=True)
class InputStats:
    """How a preprocessor maps pixel values to network input.

    Args:
        mean: Subtracted from each channel, in pixel values.
        std: What each channel is divided by.
        swap: Whether channels are turned around (BGR to RGB).
        pad: Value of padding, after normalisation.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    swap: bool = False
    pad: float = 0.0

    @classmethod
    def of(cls, preprocessor: Any) -> InputStats | None:
        """Reads the statistics of an OpenMMLab preprocessor; None if it has none."""
        if preprocessor is None or not hasattr(preprocessor, '_enable_normalize'):
            return None
        # mmdet and mmengine, mmseg, mmpretrain
        swap = bool(
            getattr(preprocessor, 'channel_conversion', False)
            or getattr(preprocessor, '_channel_conversion', False)
            or getattr(preprocessor, 'to_rgb', False)
        )
        pad = getattr(preprocessor, 'pad_val', getattr(preprocessor, 'pad_value', 0))
        pad = float(pad) if isinstance(pad, (int, float)) else 0.0
        if not preprocessor._enable_normalize:
            return cls((0.0,), (1.0,), swap, pad)
        mean, std = (
            x.flatten().tolist() for x in (preprocessor.mean, preprocessor.std)
        )
        return cls(tuple(mean), tuple(std), swap, pad)

    @classmethod
    def from_config(cls, config: dict[str, Any], path: str) -> InputStats:
        """Reads ``dict(mean=[...], std=[...], bgr_to_rgb=True, pad_val=0)``."""
        options = ['bgr_to_rgb', 'pad_val']
        if not {'mean', 'std'} <= {*config} <= {'mean', 'std', *options}:
            what = f'needs `mean` and `std`, may have {options}, but is'
            raise ConfigError.at(path, f'{what} {dict(config)!r}.')
        return cls(
            tuple(map(float, config['mean'])),
            tuple(map(float, config['std'])),
            bool(config.get('bgr_to_rgb', False)),
            float(config.get('pad_val', 0)),
        )


class Renormalize:
    """Maps a batch from one normalisation to another.

    Args:
        source: How the batch is normalised.
        target: How it is to be normalised.
    """

    def __init__(self, source: InputStats, target: InputStats) -> None:
        self.source, self.target = source, target
        self.is_identity = source == target

    def __call__(self, inputs: Tensor, data_samples: Sequence[Any] | None) -> Tensor:
        """Returns ``inputs`` ``(n c h w)`` re-normalised; never changes it in place.

        What lies outside of the ``img_shape`` of ``data_samples`` is padding.
        """
        if self.is_identity:
            return inputs
        source, target = self.source, self.target
        dtype = torch.promote_types(inputs.dtype, torch.float32)
        old_mean, old_std, mean, std = (
            torch.tensor(values, dtype=dtype, device=inputs.device).view(1, -1, 1, 1)
            for values in (source.mean, source.std, target.mean, target.std)
        )
        pixels = inputs.to(dtype) * old_std
        pixels += old_mean
        if source.swap != target.swap:
            pixels = pixels.flip(1)
        pixels -= mean
        pixels /= std
        for image, sample in zip(pixels, data_samples or ()):
            shape = getattr(sample, 'metainfo', {}).get('img_shape')
            if shape is not None:
                image[:, shape[0] :] = target.pad
                image[:, :, shape[1] :] = target.pad
        return pixels.to(inputs.dtype)

    def describe(self) -> str:
        """Returns a short description, for reports."""
        if self.is_identity:
            return 'same normalisation'
        source, target = self.source, self.target
        swapped = ', channels swapped' if source.swap != target.swap else ''
        means, stds = f'{source.mean} -> {target.mean}', f'{source.std} -> {target.std}'
        return f'mean {means}, std {stds}{swapped}'


def preprocessor_of(model: nn.Module) -> Any:
    """Returns a model's data preprocessor, or None."""
    return getattr(model, 'data_preprocessor', None)


def padding_divisor(model: nn.Module) -> int:
    """Returns what a model's preprocessor pads pictures to multiples of; 1 for none."""
    preprocessor = preprocessor_of(model)
    for name in ('pad_size_divisor', 'size_divisor'):
        divisor = getattr(preprocessor, name, None)
        if isinstance(divisor, int) and divisor > 0:
            return divisor
    return 1


def pad_batch(
    inputs: Tensor, data_samples: Sequence[Any] | None, divisor: int, value: float
) -> tuple[Tensor, Sequence[Any] | None]:
    """Pads a batch ``(n c h w)`` with ``value`` to multiples of ``divisor``.

    The padding is at the bottom and the right; the ``batch_input_shape`` of
    ``data_samples`` follows, in copies.
    """
    height, width = inputs.shape[2:]
    down, right = -height % divisor, -width % divisor
    if not down and not right:
        return inputs, data_samples
    inputs = F.pad(inputs, (0, right, 0, down), value=value)
    if data_samples is None:
        return inputs, None
    samples = [sample.new() for sample in data_samples]
    for sample in samples:
        if 'batch_input_shape' in sample.metainfo:
            shape = (height + down, width + right)
            sample.set_metainfo({'batch_input_shape': shape})
    return inputs, samples
