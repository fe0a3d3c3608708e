"""Decoder of ESPNetv2: pyramid blocks from stride 16 back to stride 2."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, gcd
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmkd_ext.registry import MODELS
from projects.espnetv2.layers import BN, INIT, conv, norm_prelu

__all__ = ['ESPNetv2Head']

SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)
SMALLEST = 5  # positions across that a scaled map has at least


class Pyramid(nn.Module):
    """Looks at a map in five sizes, with one depthwise convolution for each.

    Args:
        in_channels: Channels of the input.
        channels: Channels inside, and of the output.
        norm_cfg: Kind of batch norm.
    """

    def __init__(
        self, in_channels: int, channels: int, norm_cfg: dict[str, Any]
    ) -> None:
        super().__init__()
        self.reduce = conv(in_channels, channels, 1, norm_cfg=norm_cfg)
        self.stages = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
            for _ in SCALES
        )
        self.merge = norm_prelu(len(SCALES) * channels, norm_cfg)
        self.fuse = conv(
            len(SCALES) * channels, channels, 3, groups=channels, norm_cfg=norm_cfg
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to the inner channels, size kept."""
        x = self.reduce(x)
        looks = [_at_scale(x, s, stage) for s, stage in zip(SCALES, self.stages)]
        merged = self.merge(torch.cat(looks, dim=1))
        # from scales of channels to channels of scales: one group sees all scales
        by_channel = merged.unflatten(1, (len(SCALES), -1)).transpose(1, 2)
        return self.fuse(by_channel.flatten(1, 2))


class Skip(nn.Module):
    """Brings an encoder's map to the decoder, each channel weighed by its gate."""

    def __init__(
        self, in_channels: int, out_channels: int, norm_cfg: dict[str, Any]
    ) -> None:
        super().__init__()
        groups = gcd(in_channels, out_channels)
        self.expand = conv(
            in_channels, out_channels, 3, groups=groups, norm_cfg=norm_cfg
        )
        self.gate = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to the decoder's channels, size kept."""
        gate = self.gate(F.adaptive_avg_pool2d(x, 1)).sigmoid()
        return self.expand(x) * gate


@MODELS.register_module()
class ESPNetv2Head(BaseDecodeHead):
    """Bottom-up decoder of ESPNetv2, logits at stride 2.

    The defaults are those of the Cityscapes weights of the authors' repository.
    Everything inside resizes with the corners aligned, and so does the last step to
    the picture's size (``align_corners``).

    Args:
        in_channels: Channels of the backbone's maps, fine to coarse; see
            `channels_of`.
        num_classes: Classes, the unused background of the authors' 20 included.
        channels: Channels inside the pyramid blocks, and of what ``conv_seg`` sees.
            The authors take half the classes, at most 16; 10 stays 10 when weights
            are to be kept for other classes.
        decoder_channels: Channels between the pyramids, coarse to fine.
        in_index: Which maps of the backbone.
        dropout_ratio: In front of ``conv_seg``.
        align_corners: Of the resize to the picture's size.
        norm_cfg: Kind of batch norm.
        init_cfg: First weights, mmengine's way.
        **kwargs: As for mmseg's ``BaseDecodeHead``.

    Examples:
        >>> import torch
        >>> head = ESPNetv2Head([16, 32, 64, 128], num_classes=20)
        >>> sizes = [(16, 32), (32, 16), (64, 8), (128, 4)]
        >>> head([torch.zeros(2, c, s, s) for c, s in sizes]).shape
        torch.Size([2, 20, 32, 32])
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        channels: int = 10,
        decoder_channels: Sequence[int] = (64, 48, 32),
        in_index: Sequence[int] = (0, 1, 2, 3),
        dropout_ratio: float = 0.0,
        align_corners: bool = True,
        norm_cfg: dict[str, Any] = BN,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels=list(in_channels),
            num_classes=num_classes,
            channels=channels,
            in_index=list(in_index),
            input_transform='multiple_select',
            dropout_ratio=dropout_ratio,
            align_corners=align_corners,
            norm_cfg=norm_cfg,
            init_cfg=init_cfg,
            **kwargs,
        )
        *skipped, deepest = in_channels
        self.pyramids = nn.ModuleList(
            Pyramid(c, channels, norm_cfg) for c in (deepest, *decoder_channels)
        )
        self.expands = nn.ModuleList(
            conv(channels, c, 1, norm_cfg=norm_cfg) for c in decoder_channels
        )
        self.skips = nn.ModuleList(
            Skip(before, after, norm_cfg)
            for before, after in zip(reversed(skipped), decoder_channels)
        )
        self.joins = nn.ModuleList(norm_prelu(c, norm_cfg) for c in decoder_channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Returns logits ``(n k h w)`` at the size of the finest map."""
        *skipped, x = self._transform_inputs(inputs)
        first, *others = self.pyramids
        x = first(x)
        for feature, expand, skip, join, pyramid in zip(
            reversed(skipped), self.expands, self.skips, self.joins, others
        ):
            raised = _resize(expand(x), feature.shape[2:])
            x = pyramid(join(skip(feature) + raised))
        return self.cls_seg(x)


def _at_scale(x: Tensor, scale: float, stage: nn.Module) -> Tensor:
    """Applies ``stage`` to ``x`` at another size; the result has the size of ``x``."""
    if scale == 1:
        return stage(x)
    own = (x.shape[2], x.shape[3])
    height, width = (max(ceil(side * scale), SMALLEST) for side in own)
    size = (height, width)
    if scale > 1:
        return F.adaptive_avg_pool2d(stage(_resize(x, size)), own)
    return _resize(stage(F.adaptive_avg_pool2d(x, size)), own)


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode='bilinear', align_corners=True)
