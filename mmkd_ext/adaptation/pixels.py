"""Conversion of normalised images to bytes and back, and to PNGs for reports."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from mmkd_ext.algorithms.preprocess import InputStats

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ['as_bytes', 'as_inputs', 'png_uri', 'thumbnail']


def as_bytes(inputs: Tensor, preprocessor: nn.Module) -> Tensor:
    """Returns normalised images as bytes, of the same shape, on the CPU.

    Exact for images that were bytes before they were normalised; all else is rounded.

    Args:
        inputs: Images as the network takes them, channels first.
        preprocessor: The segmentor's, whose mean and deviation they were given.
    """
    mean, std = _scale(inputs, preprocessor)
    return (inputs * std + mean).round().clamp(0, 255).to(torch.uint8).cpu()


def as_inputs(image: Tensor, preprocessor: nn.Module, like: Tensor) -> Tensor:
    """Returns an image of bytes as the network takes it, by the same operations.

    Args:
        image: What `as_bytes` returned.
        preprocessor: As there.
        like: Gives device and type.
    """
    values = image.to(like.device, torch.float32)
    mean, std = _scale(values, preprocessor)
    return ((values - mean) / std).to(like.dtype)


def thumbnail(image: Tensor, preprocessor: nn.Module, width: int = 96) -> str:
    """Returns a small PNG as a data URI.

    Args:
        image: Bytes ``(c h w)`` in the order of channels that the network takes.
        preprocessor: Tells whether it turned the channels round.
        width: In pixels; the image is not enlarged.
    """
    if image.size(0) == 1:
        image = image.expand(3, -1, -1)
    elif getattr(preprocessor, 'channel_conversion', False):
        # back to blue, green, red: how images are read, and written
        image = image.flip(0)
    pixels: Any = image[:3].permute(1, 2, 0).contiguous().numpy()
    return png_uri(pixels, width, cv2.INTER_AREA)


def png_uri(image: Any, width: int, interpolation: int = cv2.INTER_NEAREST) -> str:
    """Returns an image as a PNG in a data URI.

    Args:
        image: Bytes ``(h w 3)`` in the order blue, green, red.
        width: Largest width; a wider image is made smaller.
        interpolation: How, one of OpenCV's ``INTER_*``.
    """
    height, full = image.shape[:2]
    if full > width:
        size = (width, max(1, round(height * width / full)))
        image = cv2.resize(image, size, interpolation=interpolation)
    _, data = cv2.imencode('.png', np.ascontiguousarray(image, np.uint8))
    return 'data:image/png;base64,' + base64.b64encode(data.tobytes()).decode()


def _scale(like: Tensor, preprocessor: nn.Module) -> tuple[Tensor, Tensor]:
    """Returns mean and standard deviation of each channel ``(c 1 1)``."""
    stats = InputStats.of(preprocessor) or InputStats((0.0,), (1.0,))
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (stats.mean, stats.std))
    return mean.to(like), std.to(like)
