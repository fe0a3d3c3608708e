"""Networks that say where to look: by what things look like, how they move, or both.

Inspired by `Spatiotemporal Knowledge Distillation for Efficient Estimation of Aerial
Video Saliency, TIP 2020 <https://arxiv.org/abs/1904.04992>`_, known by its abstract.
The README has what was decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_ext.errors import check_choice, check_integer
from mmkd_ext.registry import MODELS
from projects.tmu.videos import check_video

__all__ = ['SaliencyNet']


class Branch(nn.Module):
    """Convolutions, and a map of their own."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for _ in range(depth):
            layer = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            self.body.extend([layer, nn.BatchNorm2d(width), nn.ReLU()])
            channels = width
        self.map = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features ``(n c h w)`` and logits ``(n 1 h w)``."""
        features = self.body(x)
        return features, self.map(features)


@MODELS.register_module()
class SaliencyNet(BaseModel):
    """Logits of an attention map of the last frame of grey videos ``(n t h w)``.

    The branch ``spatial`` sees the last frame, ``temporal`` what changed from frame to
    frame. The map of one is the network's; of both, a convolution fuses the features.

    Args:
        branches: One or both.
        frames: That are looked at, 2 or 3; a distillation tries its models on three.
        width: Channels of the features.
        depth: Convolutions of a branch.
        shrink: What height and width are divided by first.
        kwargs: As for mmengine's ``BaseModel``.
    """

    def __init__(
        self,
        branches: Sequence[str] = ('spatial', 'temporal'),
        frames: int = 3,
        width: int = 8,
        depth: int = 3,
        *,
        shrink: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        channels = {'spatial': 1, 'temporal': frames - 1}
        for branch in branches:
            check_choice('SaliencyNet.branches', branch, channels)
        check_integer('SaliencyNet.frames', frames, ge=2, le=3)
        self.branches, self.frames, self.shrink = tuple(branches), frames, shrink
        for branch in branches:
            self.add_module(branch, Branch(channels[branch], width, depth))
        self.fuse = None
        if len(self.branches) > 1:
            self.fuse = nn.Conv2d(2 * width, 1, 3, padding=1)

    def logits(self, video: Tensor) -> Tensor:
        """Returns logits of the size of the frames ``(n h w)``."""
        check_video(video, self.frames, 'model.frames')
        small = F.avg_pool2d(video[:, -self.frames :], self.shrink)
        views = {'spatial': small[:, -1:], 'temporal': small.diff(dim=1)}
        found = [getattr(self, branch)(views[branch]) for branch in self.branches]
        logits = found[0][1]
        if self.fuse is not None:
            logits = self.fuse(torch.cat([features for features, _ in found], 1))
        size = video.shape[2:]
        return F.interpolate(logits, size, mode='bilinear', align_corners=False)[:, 0]

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Returns logits, losses, or for each video its map and the made one.

        The samples are attention maps of sum 1 ``(n h w)``.
        """
        logits = self.logits(inputs)
        if mode == 'tensor':
            return logits
        log = logits.flatten(1).log_softmax(1)
        if mode == 'loss':
            truth = data_samples.flatten(1)
            return {'loss_map': F.kl_div(log, truth, reduction='batchmean')}
        found = log.exp().view_as(logits)
        return [dict(zip(('map', 'truth'), pair)) for pair in zip(found, data_samples)]
