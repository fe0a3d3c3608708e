"""What the networks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import nn

from mmkd_ext.errors import ConfigError, check_integer, is_integer

__all__ = ['SmallBackbone', 'blocks_of', 'conv3x3', 'conv_norm']


class SmallBackbone(BaseModule):
    """Base of the networks.

    Convolutions start as in `Delving Deep into Rectifiers, ICCV 2015
    <https://arxiv.org/abs/1502.01852>`_.

    Attributes:
        preact: Gets and returns the maps of all stages before their activation, in a
            tuple, so that a tap at ``backbone.preact`` has them.

    Args:
        out_indices: Stages whose maps are returned; the head takes the last one.
        stages: Number of stages.
        init_cfg: See mmengine's ``BaseModule``.
    """

    def __init__(
        self, out_indices: Sequence[int], stages: int, init_cfg: Any = None
    ) -> None:
        super().__init__(
            init_cfg
            or [
                dict(type='Kaiming', layer='Conv2d', mode='fan_out'),
                dict(type='Constant', layer='BatchNorm2d', val=1),
            ]
        )
        known = range(stages)
        if (
            not isinstance(out_indices, (list, tuple))
            or not out_indices
            or any(not is_integer(i) or i not in known for i in out_indices)
            or list(out_indices) != sorted(set(out_indices))
        ):
            raise ConfigError(
                f'`out_indices` must be rising numbers of stages from 0 to {stages - 1}'
                f', but is {out_indices!r}.'
            )
        self.out_indices = tuple(out_indices)
        self.preact = nn.Identity()


def blocks_of(kind: str, depth: int, rest: int) -> int:
    """Returns how many blocks a stage has in a network of ``6 n + rest`` layers.

    Args:
        kind: Name of the network, for messages.
        depth: Its number of layers.
        rest: Layers that are in no block.

    Raises:
        ConfigError: ``depth`` is no such number.
    """
    check_integer(f'{kind}.depth', depth, ge=6 + rest)
    if (depth - rest) % 6:
        raise ConfigError(
            f'`depth` of `{kind}` must be 6 n + {rest}, as {6 + rest} or {18 + rest}, '
            f'but is {depth!r}.'
        )
    return (depth - rest) // 6


def conv3x3(in_channels: int, channels: int, stride: int = 1) -> nn.Conv2d:
    """Returns a convolution without bias that keeps the size but for the stride."""
    return nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)


def conv_norm(
    in_channels: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Returns a convolution and its batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            channels,
            kernel,
            stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(channels),
    )
