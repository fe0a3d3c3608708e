"""MobileNetV1, the student of many papers on ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmkd_ext.backbones._base import SmallBackbone, conv_norm
from mmkd_ext.registry import MODELS

__all__ = ['MobileNetV1']

#: Channels and strides of the blocks; the first convolution has 32 and stride 2.
_STAGES = (
    ((64, 1), (128, 2), (128, 1)),
    ((256, 2), (256, 1)),
    ((512, 2), *((512, 1),) * 5),
    ((1024, 2), (1024, 1)),
)


@MODELS.register_module()
class MobileNetV1(SmallBackbone):
    """MobileNetV1 of full width, which mmpretrain lacks.

    Table 1 of `MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    Applications, 2017 <https://arxiv.org/abs/1704.04861>`_; the last block has stride
    1, as all known implementations read the table.

    Args:
        out_indices: Stages whose maps are returned, of stride 4, 8, 16 and 32, after
            their activation; ``backbone.preact`` has all of them before it.
        init_cfg: See mmengine's ``BaseModule``.

    Examples:
        >>> import torch
        >>> [tuple(x.shape) for x in MobileNetV1()(torch.zeros(1, 3, 64, 64))]
        [(1, 1024, 2, 2)]
    """

    def __init__(self, out_indices: Sequence[int] = (3,), init_cfg: Any = None) -> None:
        super().__init__(out_indices, len(_STAGES), init_cfg)
        self.conv1 = nn.Sequential(*conv_norm(3, 32, 3, 2), nn.ReLU(inplace=True))
        self.stages, width = nn.ModuleList(), 32
        for blocks in _STAGES:
            layers: list[nn.Module] = []
            for channels, stride in blocks:
                layers += conv_norm(width, width, 3, stride, groups=width)
                layers += [nn.ReLU(inplace=True), *conv_norm(width, channels)]
                layers.append(nn.ReLU(inplace=True))
                width = channels
            # the last activation is outside, which would overwrite what stands before
            self.stages.append(nn.Sequential(*layers[:-1]))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps pictures ``(n 3 h w)`` to the maps of the stages."""
        x = self.conv1(x)
        before, after = [], []
        for stage in self.stages:
            before.append(stage(x))
            x = before[-1].relu()
            after.append(x)
        self.preact(tuple(before))
        return tuple(after[i] for i in self.out_indices)
