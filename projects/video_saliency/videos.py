"""Toy videos with made attention maps, each made from its index."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mmkd_ext.errors import check_choice, check_integer
from mmkd_ext.registry import DATASETS
from projects.tmu.videos import bounce

__all__ = ['AttentionVideos']

SIDE, SPREAD = 5, 3.0  # of a thing, and of the attention that it gets, in pixels
#: A disc, as most things are, and the cross that is looked at.
DISC = np.hypot(*np.mgrid[-2:3, -2:3]) < 2.5
CROSS = np.eye(SIDE, dtype=bool) | np.eye(SIDE, dtype=bool)[::-1]


@DATASETS.register_module()
class AttentionVideos(Dataset):
    """Grey videos ``(t h w)`` of discs, with noise, and where one would look.

    Half of the attention goes to the one disc that moves, which no single frame shows,
    half to the one thing that is a cross, which stands still. The same index gives the
    same video, and there are no files.

    Args:
        length: Number of videos.
        frames: Of each video, >= 2.
        size: Height and width of a frame, > 8.
        discs: Number of discs that stand still.
        noise: Standard deviation of the noise; a thing's brightness is 0.5 to 1.
        split: ``'train'`` or ``'test'``: other videos.
    """

    def __init__(
        self,
        length: int = 1000,
        *,
        frames: int = 3,
        size: int = 48,
        discs: int = 6,
        noise: float = 0.2,
        split: str = 'train',
    ) -> None:
        check_choice('AttentionVideos.split', split, ('train', 'test'))
        check_integer('AttentionVideos.size', size, gt=8)
        self.length, self.frames, self.size = length, frames, size
        self.discs, self.noise, self.split = discs, noise, split

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.split == 'test', index])
        room = self.size - SIDE
        video = np.zeros((self.frames, self.size, self.size))
        shapes = [DISC, CROSS] + [DISC] * self.discs
        paths = [bounce(rng, self.frames, room) for _ in shapes]
        for path in paths[1:]:
            path[:] = path[0]
        # what is looked at lies in front
        for shape, path in reversed(list(zip(shapes, paths))):
            light = rng.uniform(0.5, 1)
            for frame, (y, x) in zip(video, path):
                frame[y : y + SIDE, x : x + SIDE][shape] = light
        video += self.noise * rng.standard_normal(video.shape)
        attention = self._glance(paths[0][-1]) + self._glance(paths[1][-1])
        return {
            'inputs': torch.from_numpy(video.astype(np.float32)),
            'data_samples': torch.from_numpy((attention / 2).astype(np.float32)),
        }

    def _glance(self, place: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns a Gaussian around a thing ``(h w)``, of sum 1."""
        y, x = np.mgrid[: self.size, : self.size] - (place + SIDE // 2)[:, None, None]
        bell: NDArray[np.float64] = np.exp(-(y**2 + x**2) / (2 * SPREAD**2))
        return bell / bell.sum()
