"""Wide ResNet for pictures of 32 x 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmkd_ext.backbones._base import SmallBackbone, blocks_of, conv3x3
from mmkd_ext.errors import check_integer
from mmkd_ext.registry import MODELS

__all__ = ['SmallWideResNet']


@MODELS.register_module()
class SmallWideResNet(SmallBackbone):
    """WRN-d-k, `Wide Residual Networks, BMVC 2016 <https://arxiv.org/abs/1605.07146>`_.

    Blocks normalise and activate before each convolution, so what a stage returns has
    not been activated; ``backbone.preact`` has these maps. The last map that is
    returned has, as the classifier needs it. mmpretrain's ``wrn`` configs are
    ImageNet's ResNet with wider bottlenecks.

    Args:
        depth: Number of layers, ``6 n + 4`` with ``n`` blocks a stage.
        widen: Factor on the 16, 32 and 64 channels of the stages.
        out_indices: Stages whose maps are returned.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ConfigError: An argument is not as said.

    Examples:
        >>> import torch
        >>> net = SmallWideResNet(16, widen=2)
        >>> [tuple(x.shape) for x in net(torch.zeros(1, 3, 32, 32))]
        [(1, 32, 32, 32), (1, 64, 16, 16), (1, 128, 8, 8)]
    """

    def __init__(
        self,
        depth: int,
        widen: int = 1,
        out_indices: Sequence[int] = (0, 1, 2),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, 3, init_cfg)
        blocks = blocks_of('SmallWideResNet', depth, 4)
        check_integer('SmallWideResNet.widen', widen, ge=1)
        widths = (16, 16 * widen, 32 * widen, 64 * widen)
        self.conv1 = conv3x3(3, widths[0])
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                *(
                    _Block(
                        widths[i + 1] if block else widths[i],
                        widths[i + 1],
                        2 if i and not block else 1,
                    )
                    for block in range(blocks)
                )
            )
            for i in range(3)
        )
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps pictures ``(n 3 h w)`` to the maps of the stages."""
        x = self.conv1(x)
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
            maps.append(x)
        self.preact(tuple(maps))
        maps[-1] = self.relu(self.bn1(x))
        return tuple(maps[i] for i in self.out_indices)


class _Block(nn.Module):
    """Two convolutions beside a shortcut, each after normalisation and activation."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(channels, channels)
        self.shortcut = (
            nn.Conv2d(in_channels, channels, 1, stride, bias=False)
            if in_channels != channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu1(self.bn1(x))
        # a shortcut with weights starts from the activated map
        kept = x if self.shortcut is None else self.shortcut(active)
        out: Tensor = self.conv2(self.relu2(self.bn2(self.conv1(active))))
        return out + kept
