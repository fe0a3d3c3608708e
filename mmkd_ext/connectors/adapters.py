"""Connectors that change the channels of a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from mmkd_ext.errors import ConfigError, ShapeError, check_integer, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['ConvAdapter', 'LinearAdapter']


@MODELS.register_module()
class ConvAdapter(nn.Module):
    """Maps a feature to another number of channels; the size stays.

    The regressor of FitNets and the align convolution of CWD, MGD and FGD.

    Args:
        in_channels: Channels of the student's map.
        out_channels: Channels of the teacher's map.
        kernel_size: Odd width of the convolution.
        bias: Whether the convolution has a bias.
        norm: Follow with batch normalisation; the convolution then has no bias.
        act: End with a ReLU. Such an adapter cannot reach negative targets.
        init_std: Start the weights normal with this deviation, wrapped into two of
            them, and the bias at zero, > 0; as PyTorch does where None.

    Raises:
        ConfigError: ``kernel_size`` is even, or ``init_std`` is not above 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        bias: bool = True,
        norm: bool = False,
        act: bool = False,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        check_integer('ConvAdapter.in_channels', in_channels, ge=1)
        check_integer('ConvAdapter.out_channels', out_channels, ge=1)
        check_integer('ConvAdapter.kernel_size', kernel_size, ge=1)
        if kernel_size % 2 == 0:
            raise ConfigError(
                f'`kernel_size` of `ConvAdapter` is {kernel_size}; an even one would '
                'shift and shrink the map, so choose an odd one.'
            )
        self.in_channels = in_channels
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            padding=kernel_size // 2,
            bias=bias and not norm,
        )
        if init_std is not None:
            check_range('init_std', init_std, gt=0)
            nn.init.normal_(self.conv.weight)
            with torch.no_grad():
                self.conv.weight.fmod_(2).mul_(init_std)
            if self.conv.bias is not None:
                nn.init.zeros_(self.conv.bias)
        self.norm = nn.BatchNorm2d(out_channels) if norm else nn.Identity()
        self.act = nn.ReLU() if act else nn.Identity()

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to ``(n out_channels h w)``.

        Raises:
            ShapeError: The feature is no map, or has other channels.
        """
        if feature.dim() != 4 or feature.shape[1] != self.in_channels:
            raise ShapeError(
                f'`ConvAdapter` takes (n {self.in_channels} h w), but got '
                f'{tuple(feature.shape)}; set its `in_channels`.'
            )
        return self.act(self.norm(self.conv(feature)))


@MODELS.register_module()
class LinearAdapter(nn.Module):
    """Maps vectors, or the tokens of a transformer, to another number of channels.

    What a :class:`ConvAdapter` is for maps.

    Args:
        in_channels: Channels of the student's feature.
        out_channels: Channels of the teacher's feature.
        bias: Whether the map has a bias.

    Examples:
        >>> import torch
        >>> adapter = LinearAdapter(4, 8)
        >>> adapter(torch.zeros(2, 4)).shape, adapter(torch.zeros(2, 9, 4)).shape
        (torch.Size([2, 8]), torch.Size([2, 9, 8]))
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, bias: bool = True
    ) -> None:
        super().__init__()
        check_integer('LinearAdapter.in_channels', in_channels, ge=1)
        check_integer('LinearAdapter.out_channels', out_channels, ge=1)
        self.in_channels = in_channels
        self.linear = nn.Linear(in_channels, out_channels, bias=bias)

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n c)`` or ``(n l c)`` to the same with ``out_channels``.

        Raises:
            ShapeError: The feature is neither, or has other channels.
        """
        if feature.dim() not in (2, 3) or feature.shape[-1] != self.in_channels:
            raise ShapeError(
                f'`LinearAdapter` takes (n {self.in_channels}) or (n l '
                f'{self.in_channels}), but got {tuple(feature.shape)}; set its '
                '`in_channels`, and take `mmkd_ext.ConvAdapter` for maps.'
            )
        mapped: Tensor = self.linear(feature)
        return mapped
