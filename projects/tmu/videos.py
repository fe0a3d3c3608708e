"""Toy videos of a thing that bounces about, each made from its index."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mmkd_ext.datasets.digits import DigitsDataset
from mmkd_ext.errors import ConfigError, check_choice, check_integer
from mmkd_ext.registry import DATASETS

__all__ = ['MovingSprites', 'bounce', 'check_video']

SIDE = 8  # of a thing, as of scikit-learn's digits


def bounce(rng: np.random.Generator, frames: int, room: int) -> NDArray[np.int64]:
    """Returns where a thing is that moves aslant and turns at the walls.

    Args:
        rng: Draws where it begins and its direction, one pixel a frame on each axis.
        frames: Number of frames.
        room: Positions are 0 to ``room``, > 0, on both axes ``(frames 2)``.
    """
    step = rng.choice([-1, 1], 2)
    ahead = rng.integers(0, room + 1, 2) + step * np.arange(frames)[:, None]
    found: NDArray[np.int64] = room - np.abs(ahead % (2 * room) - room)
    return found


@DATASETS.register_module()
class MovingSprites(Dataset):
    """Grey videos ``(t h w)`` of one bouncing thing, values 0 to 1.

    The same index gives the same video, and there are no files.

    Args:
        kind: ``'digits'``, those of scikit-learn; ``'boxes'``, frames of random height
            and width; ``'blobs'``, smooth noise.
        length: Number of videos.
        frames: Of each video, >= 2.
        size: Height and width of a frame, more than 8.
        split: ``'train'`` or ``'test'``: other videos, of other digits.
    """

    def __init__(
        self,
        kind: str = 'digits',
        length: int = 1000,
        *,
        frames: int = 8,
        size: int = 16,
        split: str = 'train',
    ) -> None:
        check_choice('MovingSprites.kind', kind, ('digits', 'boxes', 'blobs'))
        check_choice('MovingSprites.split', split, ('train', 'test'))
        check_integer('MovingSprites.size', size, gt=SIDE)
        self.kind, self.length, self.split = kind, length, split
        self.frames, self.size = frames, size

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.split == 'test', index])
        thing = self._thing(rng)
        video = np.zeros((self.frames, self.size, self.size), np.float32)
        places = bounce(rng, self.frames, self.size - SIDE)
        for frame, (y, x) in zip(video, places):
            frame[y : y + SIDE, x : x + SIDE] = thing
        return {'inputs': torch.from_numpy(video)}

    @cached_property
    def _digits(self) -> NDArray[np.float32]:
        pictures = [one['img'][..., 0] for one in DigitsDataset(self.split)]
        return np.stack(pictures).astype(np.float32) / np.float32(255)

    def _thing(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Returns a thing ``(8 8)``."""
        if self.kind == 'digits':
            return self._digits[rng.integers(len(self._digits))]
        thing = np.zeros((SIDE, SIDE), np.float32)
        if self.kind == 'boxes':
            height, width = rng.integers(4, SIDE + 1, 2)
            thing[:height, :width] = rng.uniform(0.5, 1)
            thing[2 : height - 2, 2 : width - 2] = 0
            return thing
        coarse = torch.from_numpy(rng.random((1, 1, 4, 4), np.float32))
        grow = torch.nn.UpsamplingBilinear2d(SIDE)
        return np.asarray(grow(coarse)[0, 0], np.float32)


def check_video(video: torch.Tensor, least: int, setting: str) -> None:
    """Raises `ConfigError` where videos ``(n t h w)`` are too short for a setting."""
    if video.dim() != 4 or video.shape[1] < least:
        raise ConfigError.at(
            setting,
            f'asks for videos (n t h w) of at least {least} frames, but got '
            f'{tuple(video.shape)}.',
            'Make it smaller, or `frames` of the data set larger.',
        )
