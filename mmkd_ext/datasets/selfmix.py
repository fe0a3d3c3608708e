"""A transform that mixes two augmentations of one picture."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Compose

from mmkd_ext.errors import ConfigError, DataError, check_range
from mmkd_ext.registry import TRANSFORMS

__all__ = ['SelfMix']


@TRANSFORMS.register_module()
class SelfMix(BaseTransform):
    """Puts a box of one augmentation of a picture into another one of the same picture.

    The box is that of `CutMix, ICCV 2019 <https://arxiv.org/abs/1905.04899>`_: its
    centre is anywhere, its share of the area is drawn from a beta distribution, and it
    is cut at the border. Both are of one picture, so its class stays; label maps
    (``seg_fields``) are mixed with it. Inspired by the SelfMix of `FerKD, ICCV 2023
    <https://arxiv.org/abs/2312.17473>`_, whose box and chance are not known to us.

    Chance comes from NumPy's global generator, as that of other transforms, so ``mmkd
    store`` makes the same mixture again. What keeps or packs the picture stands after
    it.

    Args:
        transforms: What augments, such as a random crop and a flip; drawn twice. It
            ends with pictures of one size.
        prob: How often there are two, in [0, 1].
        alpha: Both parameters of the beta distribution, > 0; at 1 every share is as
            likely.

    Raises:
        ConfigError: `transforms` is empty, or a number out of range.
        DataError: The two differ in size, are packed already, or have boxes.

    Examples:
        .. code-block:: python

            pipeline = [
                dict(type='LoadImageFromFile'),
                dict(type='mmkd_ext.SelfMix', transforms=[
                    dict(type='RandomResizedCrop', scale=224),
                    dict(type='RandomFlip', prob=0.5)]),
                dict(type='PackInputs')]
    """

    def __init__(
        self, transforms: Sequence[Any], prob: float = 0.5, alpha: float = 1.0
    ) -> None:
        if not transforms:
            raise ConfigError(
                '`SelfMix.transforms` is empty, so there is nothing to mix: give what '
                "augments a picture, such as dict(type='RandomFlip', prob=0.5)."
            )
        check_range('prob', prob, ge=0, le=1)
        check_range('alpha', alpha, gt=0)
        self.transforms = Compose(list(transforms))
        self.prob, self.alpha = prob, alpha

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Returns the first augmentation with a box of the second."""
        if np.random.rand() >= self.prob:
            return self.transforms(results)
        first, second = (self.transforms(copy.deepcopy(results)) for _ in range(2))
        if first is None or second is None:
            return None
        if 'img' not in first or 'gt_bboxes' in first:
            raise DataError(
                '`SelfMix` mixes pictures and label maps, but its transforms gave '
                f'{sorted(first)}. Put what packs after it; boxes of two crops cannot '
                'be mixed.'
            )
        keys = ('img', *first.get('seg_fields', ()))
        shapes = [{key: one[key].shape for key in keys} for one in (first, second)]
        if shapes[0] != shapes[1]:
            raise DataError(
                f'`SelfMix`: two augmentations of a picture are {shapes[0]} and '
                f'{shapes[1]}. End its `transforms` with one that gives one size, and '
                'put those that change the scale before it.'
            )
        box = self._box(*shapes[0]['img'][:2])
        for key in keys:
            first[key] = first[key].copy()
            first[key][box] = second[key][box]
        return dict(first)

    def _box(self, *size: int) -> tuple[slice, ...]:
        """Draws the box in a picture of a size."""
        share = np.random.beta(self.alpha, self.alpha) ** 0.5
        sides = []
        for whole in size:
            length = round(whole * share)
            start = np.random.randint(whole) - length // 2
            sides.append(slice(max(start, 0), start + length))
        return tuple(sides)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(transforms={self.transforms}, prob={self.prob}, '
            f'alpha={self.alpha})'
        )
