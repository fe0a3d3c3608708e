"""MobileNetV2 for pictures of 32 x 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmkd_ext.backbones._base import SmallBackbone, conv_norm
from mmkd_ext.errors import check_integer, check_range
from mmkd_ext.registry import MODELS

__all__ = ['SmallMobileNetV2']

#: Expansion (None is the network's), channels, blocks and stride of each group.
_GROUPS = (
    (1, 16, 1, 1),
    (None, 24, 2, 1),
    (None, 32, 3, 2),
    (None, 64, 4, 2),
    (None, 96, 3, 1),
    (None, 160, 3, 2),
    (None, 320, 1, 1),
)
#: Groups at whose end the size changes next; their maps are the stages'.
_ENDS = (1, 2, 4, 6)


@MODELS.register_module()
class SmallMobileNetV2(SmallBackbone):
    """MobileNetV2 with output stride 16, as RepDistiller has it for CIFAR-100.

    `MobileNetV2, CVPR 2018 <https://arxiv.org/abs/1801.04381>`_ with stride 1 in the
    second group, ReLU instead of ReLU6, and widths that are not rounded to multiples of
    8. The papers' student is the default, of half width.

    Args:
        widen: Factor on the channels, > 0; the last convolution never gets narrower
            than 1280.
        expand: Expansion inside the blocks, >= 1.
        out_indices: Stages whose maps are returned: 0 to 3 are those of stride 2, 4, 8
            and 16, 4 the last convolution's.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ConfigError: An argument is not as said.

    Examples:
        >>> import torch
        >>> [tuple(x.shape) for x in SmallMobileNetV2()(torch.zeros(1, 3, 32, 32))]
        [(1, 1280, 2, 2)]
    """

    def __init__(
        self,
        widen: float = 0.5,
        expand: int = 6,
        out_indices: Sequence[int] = (4,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, 5, init_cfg)
        check_range('SmallMobileNetV2.widen', widen, gt=0)
        check_integer('SmallMobileNetV2.expand', expand, ge=1)
        width = int(32 * widen)
        self.conv1 = nn.Sequential(*conv_norm(3, width, 3, stride=2), nn.ReLU(True))
        self.groups = nn.ModuleList()
        for factor, channels, blocks, stride in _GROUPS:
            group = nn.Sequential()
            for i in range(blocks):
                group.append(
                    _Block(
                        width,
                        int(channels * widen),
                        1 if i else stride,
                        factor or expand,
                    )
                )
                width = int(channels * widen)
            self.groups.append(group)
        last = int(1280 * max(widen, 1))
        self.conv2 = nn.Sequential(*conv_norm(width, last), nn.ReLU(True))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps pictures ``(n 3 h w)`` to the maps of the stages."""
        x = self.conv1(x)
        maps = []
        for i, group in enumerate(self.groups):
            x = group(x)
            if i in _ENDS:
                maps.append(x)
        # blocks end without an activation
        self.preact(tuple(maps))
        maps.append(self.conv2(x))
        return tuple(maps[i] for i in self.out_indices)


class _Block(nn.Module):
    """Widens, convolves each channel, and narrows again."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, expand: int
    ) -> None:
        super().__init__()
        inner = in_channels * expand
        self.layers = nn.Sequential(
            *conv_norm(in_channels, inner),
            nn.ReLU(inplace=True),
            *conv_norm(inner, inner, 3, stride, groups=inner),
            nn.ReLU(inplace=True),
            *conv_norm(inner, channels),
        )
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.adds else out
