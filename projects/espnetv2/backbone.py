"""ESPNetv2: depthwise convolutions of several dilations in place of large kernels."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmkd_ext.errors import check_choice
from mmkd_ext.registry import MODELS
from projects.espnetv2.layers import BN, INIT, conv, norm_prelu

__all__ = ['ESPNetv2', 'channels_of']

WIDTHS = (0.5, 1.0, 1.5, 2.0)
BRANCHES = 4


def channels_of(width: float) -> list[int]:
    """Returns the channels at strides 2, 4, 8 and 16.

    Examples:
        >>> channels_of(0.5)
        [16, 32, 64, 128]
    """
    return [int(min(32, 32 * width)), *(int(base * width) for base in (64, 128, 256))]


def dilations(limit: int) -> list[int]:
    """Returns the dilation of each branch of a unit.

    Args:
        limit: No branch sees more than this many positions across.

    Examples:
        >>> dilations(9), dilations(7)
        ([1, 2, 3, 4], [1, 1, 2, 3])
    """
    kernels = [3 + 2 * branch for branch in range(BRANCHES)]
    return sorted((k if k <= limit else 3) // 2 for k in kernels)


class EESP(nn.Module):
    """Extremely efficient spatial pyramid: reduce, look, merge, expand.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, a multiple of 16.
        limit: See `dilations`.
        stride: Of the depthwise convolutions.
        norm_cfg: Kind of batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        limit: int,
        stride: int = 1,
        norm_cfg: dict[str, Any],
    ) -> None:
        super().__init__()
        inner = out_channels // BRANCHES
        self.reduce = conv(in_channels, inner, 1, groups=BRANCHES, norm_cfg=norm_cfg)
        self.branches = nn.ModuleList(
            nn.Conv2d(
                inner,
                inner,
                3,
                stride,
                padding=dilation,
                dilation=dilation,
                groups=inner,
                bias=False,
            )
            for dilation in dilations(limit)
        )
        self.merge = norm_prelu(out_channels, norm_cfg)
        self.expand = conv(
            out_channels,
            out_channels,
            1,
            groups=BRANCHES,
            norm_cfg=norm_cfg,
            activate=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to the out channels; no activation at the end."""
        reduced = self.reduce(x)
        # each branch is added to the narrower ones, against the grid of dilation
        sums = accumulate(branch(reduced) for branch in self.branches)
        return self.expand(self.merge(torch.cat(list(sums), dim=1)))


class Unit(nn.Module):
    """`EESP` with a residual connection, size and channels kept."""

    def __init__(self, channels: int, *, limit: int, norm_cfg: dict[str, Any]) -> None:
        super().__init__()
        self.eesp = EESP(channels, channels, limit=limit, norm_cfg=norm_cfg)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to the same shape."""
        return self.act(x + self.eesp(x))


class StridedUnit(nn.Module):
    """Halves the size; the network's input picture, made small, is added."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        limit: int,
        norm_cfg: dict[str, Any],
    ) -> None:
        super().__init__()
        self.pool = _pool()
        self.eesp = EESP(
            in_channels,
            out_channels - in_channels,
            limit=limit,
            stride=2,
            norm_cfg=norm_cfg,
        )
        self.image = nn.Sequential(
            conv(3, 3, 3, norm_cfg=norm_cfg),
            conv(3, out_channels, 1, norm_cfg=norm_cfg, activate=False),
        )
        self.act = nn.PReLU(out_channels)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to half the size.

        Args:
            x: Features ``(n c h w)``.
            image: The normalised picture at half the size of ``x``.
        """
        out = torch.cat([self.pool(x), self.eesp(x)], dim=1)
        return self.act(out + self.image(image))


class Level(nn.Module):
    """A strided unit and the plain ones that follow."""

    def __init__(self, down: StridedUnit, units: list[Unit]) -> None:
        super().__init__()
        self.down = down
        self.units = nn.Sequential(*units)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to half the size; see `StridedUnit`."""
        return self.units(self.down(x, image))


@MODELS.register_module()
class ESPNetv2(BaseModule):
    """Encoder of ESPNetv2 for segmentation, features at strides 2, 4, 8 and 16.

    `ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional
    Neural Network, CVPR 2019 <https://arxiv.org/abs/1811.11431>`_. Details that the
    paper leaves open are as in the authors' repository (sacmehta/EdgeNets), whose
    Cityscapes weights `projects/espnetv2/convert.py` brings here.

    Args:
        width: Multiplier of the channels: 0.5, 1.0, 1.5 or 2.0.
        norm_cfg: Kind of batch norm.
        init_cfg: First weights, mmengine's way.

    Raises:
        ConfigError: Another width.

    Examples:
        >>> import torch
        >>> features = ESPNetv2(width=0.5)(torch.zeros(2, 3, 64, 96))
        >>> [tuple(feature.shape) for feature in features]
        [(2, 16, 32, 48), (2, 32, 16, 24), (2, 64, 8, 12), (2, 128, 4, 6)]
    """

    def __init__(
        self,
        width: float = 1.0,
        norm_cfg: dict[str, Any] = BN,
        init_cfg: Any = INIT,
    ) -> None:
        super().__init__(init_cfg)
        check_choice('width', width, WIDTHS)
        c1, c2, c3, c4 = channels_of(width)
        self.level1 = conv(3, c1, 3, stride=2, norm_cfg=norm_cfg)
        self.pool = _pool()
        for number, (before, after, limits) in enumerate(
            [(c1, c2, [13]), (c2, c3, [11] + 3 * [9]), (c3, c4, [9] + 7 * [7])], 2
        ):
            down = StridedUnit(before, after, limit=limits[0], norm_cfg=norm_cfg)
            units = [Unit(after, limit=r, norm_cfg=norm_cfg) for r in limits[1:]]
            self.add_module(f'level{number}', Level(down, units))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the features of a normalised picture ``(n 3 h w)``, fine to coarse.

        A side of ``h`` becomes ``ceil(h / 2)`` at each level.
        """
        image = self.pool(x)
        features = [self.level1(x)]
        for level in (self.level2, self.level3, self.level4):
            image = self.pool(image)
            features.append(level(features[-1], image))
        return tuple(features)


def _pool() -> nn.AvgPool2d:
    """Halves a map; zeros of the border count, as where the weights were trained."""
    return nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=True)
