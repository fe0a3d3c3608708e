"""Small modules that backbone and head share."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import ConvModule, build_norm_layer
from torch import nn

__all__ = ['BN', 'INIT', 'conv', 'norm_prelu']

BN = {'type': 'BN', 'requires_grad': True}

#: First weights: Kaiming normal over the outputs of a convolution, bias 0, norm 1.
INIT = (
    {'type': 'Kaiming', 'layer': 'Conv2d'},
    {'type': 'Constant', 'val': 1, 'layer': '_BatchNorm'},
)


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    norm_cfg: dict[str, Any],
    stride: int = 1,
    groups: int = 1,
    activate: bool = True,
) -> ConvModule:
    """Returns convolution, batch norm and, if asked for, a PReLU with a slope a map."""
    return ConvModule(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='PReLU', num_parameters=out_channels) if activate else None,
    )


def norm_prelu(channels: int, norm_cfg: dict[str, Any]) -> nn.Sequential:
    """Returns batch norm and a PReLU with a slope a channel."""
    return nn.Sequential(build_norm_layer(norm_cfg, channels)[1], nn.PReLU(channels))
