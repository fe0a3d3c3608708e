"""Augmentations that can be made again: each is a function of its number alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from mmkd_ext.errors import DataError
from mmkd_ext.random_state import derive_seed, seed_all

__all__ = ['CHECKSUM', 'ROW', 'Augmentations', 'rows_of']

#: Keys in the `metainfo` of a sample: the number of its view, and its checksum.
ROW, CHECKSUM = 'augmentation_row', 'augmentation_checksum'


class Augmentations(Dataset[Any]):
    """A data set of which each picture has a few augmentations, always the same.

    Item ``a * len(self) + i`` is augmentation `a` of picture `i`: the transforms draw
    their random numbers from a seed made of (`seed`, `a`, `i`). Its data sample tells
    its number, and a checksum of the picture before normalisation.

    Args:
        dataset: The data set, with its transforms. One that returns a list (as
            ``mmkd_ext.Views`` does) gives that many views of an augmentation, each
            with a row of its own.
        count: Number of augmentations of each picture.
        seed: What they are drawn with.
        stores: Stores of teachers, which check each picture where it is loaded.
    """

    def __init__(
        self,
        dataset: Any,
        count: int,
        seed: int = 0,
        stores: Sequence[Any] = (),
    ) -> None:
        self.dataset, self.count, self.seed = dataset, count, seed
        self.stores = stores

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or 'dataset' not in vars(self):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, number: int) -> Any:
        augmentation, index = divmod(number, len(self.dataset))
        place = (self.seed, 'augmentation', augmentation, index)
        seed_all(derive_seed(*place), devices=False)
        item = self.dataset[index]
        views = item if isinstance(item, list) else [item]
        for view, one in enumerate(views):
            row, checksum = number * len(views) + view, _checksum(one)
            sample = one.get('data_samples')
            if not hasattr(sample, 'set_metainfo'):
                raise DataError(
                    'An augmentation is known by its data sample, but the pipeline '
                    f'gives {type(sample).__name__} as `data_samples`. End it with one '
                    "of OpenMMLab's transforms that pack, such as `PackInputs`."
                )
            sample.set_metainfo({ROW: row, CHECKSUM: checksum})
            for store in self.stores:
                store.check(row, checksum)
        return item


def rows_of(data_samples: Iterable[Any] | None) -> list[int]:
    """Returns the number of each sample's augmentation.

    Raises:
        DataError: A sample was not loaded through `Augmentations`.
    """
    samples = list(data_samples or ())
    rows = [getattr(sample, 'metainfo', {}).get(ROW) for sample in samples]
    if not rows or None in rows:
        raise DataError(
            'The samples do not say which of the stored augmentations they are. Add '
            "dict(type='mmkd_ext.ReproducibleStepHook') to `custom_hooks`, which makes "
            'the stored ones again.'
        )
    return [int(row) for row in rows if row is not None]


def _checksum(item: Any) -> int:
    value = item['inputs']
    checksum = 0
    for part in value if isinstance(value, (list, tuple)) else [value]:
        checksum = zlib.crc32(np.ascontiguousarray(part).tobytes(), checksum)
    return checksum
