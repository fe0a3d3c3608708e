"""One connector for each level of a pyramid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from mmkd_ext.connectors.build import build_connector
from mmkd_ext.errors import ShapeError, check_integer
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ['PerLevel']


@MODELS.register_module()
class PerLevel(nn.Module):
    """Gives each level of a pyramid a connector of its own, or all levels one.

    Args:
        connector: Config of the connector of one level.
        levels: Number of levels.
        shared: All levels use the same weights.

    Examples:
        >>> import torch
        >>> pyramid = PerLevel(dict(type='mmkd_ext.ConvAdapter', in_channels=2,
        ...                         out_channels=3), levels=2)
        >>> [tuple(x.shape) for x in pyramid((torch.zeros(1, 2, 4, 4),
        ...                                   torch.zeros(1, 2, 2, 2)))]
        [(1, 3, 4, 4), (1, 3, 2, 2)]
    """

    def __init__(
        self, connector: dict[str, Any], levels: int, *, shared: bool = False
    ) -> None:
        super().__init__()
        check_integer('PerLevel.levels', levels, ge=1)
        self.levels = levels
        count = 1 if shared else levels
        self.connectors = nn.ModuleList(
            build_connector(connector, 'connector') for _ in range(count)
        )

    def forward(self, pyramid: Sequence[Tensor]) -> tuple[Any, ...]:
        """Maps each level with its connector.

        Raises:
            ShapeError: The pyramid has another number of levels.
        """
        several = isinstance(pyramid, (list, tuple))
        if not several or len(pyramid) != self.levels:
            got = f'{len(pyramid)} levels' if several else type(pyramid).__name__
            raise ShapeError(
                f'`PerLevel` has levels={self.levels}, but got {got}; set `levels`, or '
                'choose levels with `item`.'
            )
        count = len(self.connectors)
        return tuple(self.connectors[i % count](x) for i, x in enumerate(pyramid))
