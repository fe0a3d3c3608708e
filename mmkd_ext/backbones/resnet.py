"""ResNet for pictures of 32 x 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.backbones._base import SmallBackbone, blocks_of, conv3x3, conv_norm
from mmkd_ext.errors import ConfigError, check_choice, is_integer
from mmkd_ext.registry import MODELS

__all__ = ['SmallResNet']


@MODELS.register_module()
class SmallResNet(SmallBackbone):
    """ResNet of three stages.

    Section 4.2 of `Deep Residual Learning for Image Recognition, CVPR 2016
    <https://arxiv.org/abs/1512.03385>`_.

    ResNet-20, 56 and 110 have the standard widths; ResNet-8x4 and 32x4 of RepDistiller
    are of depth 8 and 32 with ``widths=(32, 64, 128, 256)``. mmpretrain's
    ``ResNet_CIFAR`` is another network: ImageNet's, with four stages from 64 channels.

    Args:
        depth: Number of layers, ``6 n + 2`` with ``n`` blocks a stage.
        widths: Channels of the first convolution and of each stage.
        shortcut: Where the size or width changes, ``'conv'`` takes a 1x1 convolution
            and batch normalisation (RepDistiller), ``'pad'`` every second pixel and
            channels of zeros on both sides (the paper's option A).
        out_indices: Stages whose maps are returned, after their activation.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ConfigError: An argument is not as said.

    Examples:
        >>> import torch
        >>> [tuple(x.shape) for x in SmallResNet(20)(torch.zeros(1, 3, 32, 32))]
        [(1, 16, 32, 32), (1, 32, 16, 16), (1, 64, 8, 8)]
    """

    def __init__(
        self,
        depth: int,
        widths: Sequence[int] = (16, 16, 32, 64),
        shortcut: str = 'conv',
        out_indices: Sequence[int] = (0, 1, 2),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, 3, init_cfg)
        blocks = blocks_of('SmallResNet', depth, 2)
        check_choice('shortcut', shortcut, ('conv', 'pad'))
        if len(widths) != 4 or not all(is_integer(w) and w > 0 for w in widths):
            raise ConfigError(
                '`widths` must be four numbers, of the first convolution and of three '
                f'stages, but is {widths!r}.'
            )
        self.conv1 = conv3x3(3, widths[0])
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.layer1, self.layer2, self.layer3 = (
            _stage(widths[i], widths[i + 1], blocks, 2 if i else 1, shortcut)
            for i in range(3)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps pictures ``(n 3 h w)`` to the maps of the stages."""
        x = self.relu(self.bn1(self.conv1(x)))
        before, after = [], []
        for stage in (self.layer1, self.layer2, self.layer3):
            before.append(stage(x))
            # not in place, which would overwrite what stands before it
            x = F.relu(before[-1])
            after.append(x)
        self.preact(tuple(before))
        return tuple(after[i] for i in self.out_indices)


def _stage(
    in_channels: int, channels: int, blocks: int, stride: int, shortcut: str
) -> nn.Sequential:
    """Returns the blocks of a stage; the last one leaves its activation out."""
    return nn.Sequential(
        *(
            _Block(
                channels if i else in_channels,
                channels,
                1 if i else stride,
                shortcut,
                act=i < blocks - 1,
            )
            for i in range(blocks)
        )
    )


class _Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, shortcut: str, *, act: bool
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = (
                conv_norm(in_channels, channels, stride=stride)
                if shortcut == 'conv'
                else _Pad(channels - in_channels, stride)
            )
        self.relu2 = nn.ReLU(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + self.shortcut(x)
        activated: Tensor = self.relu2(out)
        return activated


class _Pad(nn.Module):
    """Shortcut without parameters."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: Tensor) -> Tensor:
        half = self.more // 2
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, half, self.more - half))
