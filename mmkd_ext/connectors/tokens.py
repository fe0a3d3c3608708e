"""Converts tokens of transformers to maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from mmkd_ext.connectors.build import build_connector
from mmkd_ext.errors import ShapeError, check_integer
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['TokensToMap']


@MODELS.register_module()
class TokensToMap(nn.Module):
    """Turns tokens ``(n l c)`` into maps ``(n c h w)``, one position a patch.

    Backbones of mmseg return maps, but inside of a transformer there are tokens: the
    layers of a ViT (``backbone.layers.11``), the blocks of MiT and Swin, the parts of a
    Segmenter's head. Losses and alignment take maps.

    Without `stride` their grid is taken to be square. With `stride` it comes from the
    size of the images, which the tap is given::

        preds_S=dict(
            of='student', at='backbone.layers.11',
            connector=dict(type='mmkd_ext.TokensToMap', stride=16, leading=1),
            given=dict(inputs=dict(of='batch', at='inputs')))

    Args:
        stride: Pixels from patch to patch; a part of a patch at the border is one.
        leading: Tokens before those of the patches, such as 1 for a class token, which
            are left out.
        connector: What the map goes through next. A list of connectors instead would
            give ``inputs`` to none of them.

    Examples:
        >>> import torch
        >>> TokensToMap(leading=1)(torch.zeros(2, 1 + 14 * 14, 192)).shape
        torch.Size([2, 192, 14, 14])
        >>> TokensToMap(stride=16)(torch.zeros(2, 8, 192), torch.zeros(2, 3, 32, 64)
        ...                        ).shape
        torch.Size([2, 192, 2, 4])
    """

    def __init__(
        self, stride: int | None = None, leading: int = 0, *, connector: Any = None
    ) -> None:
        super().__init__()
        if stride is not None:
            check_integer('TokensToMap.stride', stride, ge=1)
        check_integer('TokensToMap.leading', leading, ge=0)
        self.stride = stride
        self.leading = leading
        self.connector: nn.Module = nn.Identity()
        if connector is not None:
            self.connector = build_connector(connector, 'connector')

    def forward(
        self, tokens: Tensor | Sequence[Tensor], inputs: Tensor | None = None
    ) -> Any:
        """Returns the map, or the maps of several layers.

        Args:
            tokens: Tokens ``(n l c)``, or a tuple of them.
            inputs: The images ``(n 3 h w)``, if there is a `stride`.

        Raises:
            ShapeError: These are no tokens, or their number fits no grid.
        """
        if isinstance(tokens, Tensor):
            return self.connector(self._map(tokens, inputs))
        return self.connector(tuple(self._map(layer, inputs) for layer in tokens))

    def _map(self, tokens: Tensor, inputs: Tensor | None) -> Tensor:
        if tokens.dim() != 3:
            raise ShapeError(
                f'`TokensToMap` takes tokens (n l c), but got {tuple(tokens.shape)}'
                + ('; a map needs no such connector.' if tokens.dim() == 4 else '.')
            )
        count = tokens.shape[1] - self.leading
        height, width = self._grid(count, inputs)
        patches = tokens[:, self.leading :].transpose(1, 2)
        return patches.reshape(*patches.shape[:2], height, width)

    def _grid(self, count: int, inputs: Tensor | None) -> tuple[int, int]:
        if self.stride is None:
            side = math.isqrt(max(count, 0))
            if not side or side * side != count:
                raise ShapeError(
                    f'{count} tokens are no square map.{self._hint(count)} If the '
                    'images are not square, set `stride`, and give the tap '
                    "given=dict(inputs=dict(of='batch', at='inputs'))."
                )
            return side, side
        if inputs is None:
            raise ShapeError(
                f'`TokensToMap` with stride={self.stride} needs the images; give the '
                "tap given=dict(inputs=dict(of='batch', at='inputs'))."
            )
        height, width = (-(-side // self.stride) for side in inputs.shape[-2:])
        if height * width != count:
            raise ShapeError(
                f'images of {tuple(inputs.shape[-2:])} with stride {self.stride} have '
                f'{height} x {width} patches, but there are {count} tokens.'
                f'{self._hint(count, height * width)}'
            )
        return height, width

    def _hint(self, count: int, patches: int | None = None) -> str:
        """Returns a hint at the number of leading tokens, if a small one would fit."""
        for more in (1, 2, 3, 4, 5):
            rest = count - more
            if rest > 0 and rest == (patches or math.isqrt(rest) ** 2):
                return (
                    f' {rest} would be one, after {more} more token(s) that are no '
                    f'patch: set `leading={self.leading + more}`.'
                )
        return ''
