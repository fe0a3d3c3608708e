"""Handwritten digits of 8 x 8 pixels, which come with scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from mmengine.dataset import BaseDataset

from mmkd_ext.errors import check_choice, check_integer
from mmkd_ext.registry import DATASETS

__all__ = ['DigitsDataset']

_TRAIN = 1437  # four fifths


@DATASETS.register_module()
class DigitsDataset(BaseDataset):
    """The digits of :func:`sklearn.datasets.load_digits`, for classifiers.

    Real data without a download: the first 1,437 pictures to train on, the other 360 to
    test on.

    Args:
        split: ``'train'`` or ``'test'``.
        enlarge: Copies of a pixel along each side, >= 1; 4 gives pictures of 32 x 32.
        kwargs: As for mmengine's ``BaseDataset``.

    Examples:
        >>> data = DigitsDataset('test')
        >>> len(data), data[0]['img'].shape, data[0]['gt_label']
        (360, (8, 8, 3), 2)
    """

    METAINFO: ClassVar[dict[str, Any]] = {'classes': tuple('0123456789')}

    def __init__(self, split: str = 'train', enlarge: int = 1, **kwargs: Any) -> None:
        check_choice('split', split, ('train', 'test'))
        check_integer('DigitsDataset.enlarge', enlarge, ge=1)
        self.split, self.enlarge = split, enlarge
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Returns the pictures ``(h w 3)``, 0 to 255, with their labels."""
        from sklearn.datasets import load_digits

        found = load_digits()
        part = slice(_TRAIN) if self.split == 'train' else slice(_TRAIN, None)
        pixels = np.ones((1, self.enlarge, self.enlarge), np.uint8)
        # values are 0 to 16
        grey = np.kron((found.images[part] * (255 / 16)).astype(np.uint8), pixels)
        return [
            {'img': np.stack([picture] * 3, axis=-1), 'gt_label': int(label)}
            for picture, label in zip(grey, found.target[part])
        ]
