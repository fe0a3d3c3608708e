"""Images at their original resolution, from which scaled views are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.adaptation.pixels import as_inputs
from mmkd_ext.datasets.original import ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['Original', 'originals_of']


@dataclass(frozen=True)
class Original:
    """A picture as it was loaded, which fills the network's input once it is resized.

    It is kept as bytes and normalised at the size of a view, so it costs its own bytes
    and nothing where no view is scaled.

    Args:
        image: Bytes ``(c h w)``, channels as they were loaded.
        size: Height and width of the network's input.
        padding: What the input has of padding: left, right, top, bottom.
        preprocessor: The segmentor's, which gave the input its mean and deviation.
    """

    image: Tensor
    size: tuple[int, int]
    padding: tuple[int, int, int, int]
    preprocessor: nn.Module

    def resized(self, size: Sequence[int], like: Tensor) -> Tensor:
        """Returns the picture as an input ``(1 c h w)`` of a size, padded as the input.

        Args:
            size: Height and width, with padding.
            like: Gives device and type.
        """
        (height, width), (left, right, top, bottom) = size, self.padding
        vertical, horizontal = height / self.size[0], width / self.size[1]
        left, right = round(left * horizontal), round(right * horizontal)
        top, bottom = round(top * vertical), round(bottom * vertical)
        inner = [height - top - bottom, width - left - right]
        image = self.image.to(like.device, torch.float32).unsqueeze(0)
        image = F.interpolate(image, inner, mode='bilinear', align_corners=False)
        if getattr(self.preprocessor, 'channel_conversion', False):
            image = image.flip(1)
        image = as_inputs(image, self.preprocessor, like)
        value = float(getattr(self.preprocessor, 'pad_val', 0))
        return F.pad(image, (left, right, top, bottom), value=value)


def originals_of(
    samples: Sequence[Any] | None, inputs: Tensor, preprocessor: nn.Module
) -> list[Original] | None:
    """Returns the originals of a batch; None unless each sample has one.

    Args:
        samples: Data samples, as the preprocessor left them.
        inputs: Their images ``(n c h w)``.
        preprocessor: The segmentor's.
    """
    originals = []
    height, width = inputs.shape[2:]
    for sample in samples or ():
        if ORIGINAL not in sample:
            return None
        padding = tuple(sample.metainfo.get('img_padding_size', (0, 0, 0, 0)))
        image = sample.get(ORIGINAL)
        originals.append(Original(image, (height, width), padding, preprocessor))
    return originals or None
