"""ACDC: driving in fog, at night, in rain and in snow, with Cityscapes' classes."""

from __future__ import annotations

import os.path as osp
from typing import Any

from mmseg.datasets import BaseSegDataset, CityscapesDataset

from mmkd_ext.datasets._checks import check_folder, check_pictures
from mmkd_ext.errors import ConfigError, check_choice
from mmkd_ext.registry import DATASETS

__all__ = ['ACDCDataset']

CONDITIONS = ('fog', 'night', 'rain', 'snow')


@DATASETS.register_module()
class ACDCDataset(BaseSegDataset):
    """ACDC in its published layout, or anything laid out like it.

    Pictures are ``rgb_anon/<condition>/<split>/<drive>/*_rgb_anon.png``, labels
    ``gt/<condition>/<split>/<drive>/*_gt_labelTrainIds.png`` with Cityscapes' train ids
    and 255 where no class is. Pictures come in the order of their paths, so that the
    frames of a drive follow each other in time.

    Say which pictures either by ``condition`` and ``split``, or by ``data_prefix``.
    With ``condition=None`` and no ``data_prefix``, all four conditions come, one after
    another. Labels that do not exist (the public test split has none) are no error
    until one is loaded.

    Args:
        condition: ``'fog'``, ``'night'``, ``'rain'`` or ``'snow'``; None for all.
        split: ``'train'``, ``'val'`` or ``'test'``.
        data_prefix: Folders ``img_path`` and ``seg_map_path`` below ``data_root``, in
            place of ``condition`` and ``split``.
        img_suffix: How the name of a picture ends.
        seg_map_suffix: How the name of its labels ends.
        **kwargs: As for `mmseg.datasets.BaseSegDataset`.

    Raises:
        ConfigError: An unknown condition or split, or a condition beside a prefix.
        DataError: A folder is missing or holds no pictures.
    """

    METAINFO = CityscapesDataset.METAINFO
    data_prefix: dict[str, str]

    def __init__(
        self,
        condition: str | None = None,
        split: str = 'train',
        data_prefix: dict[str, str] | None = None,
        img_suffix: str = '_rgb_anon.png',
        seg_map_suffix: str = '_gt_labelTrainIds.png',
        **kwargs: Any,
    ) -> None:
        check_choice('split', split, ('train', 'val', 'test'))
        check_choice('condition', condition, (None, *CONDITIONS))
        if data_prefix and condition:
            raise ConfigError(
                f'ACDCDataset: `condition` is {condition!r} and `data_prefix` is '
                f'{data_prefix!r}; both say which pictures. Give one of them.'
            )
        self.condition, self.split = condition, split
        chosen = (condition,) if condition else CONDITIONS
        self._parts = None if data_prefix else tuple(f'{c}/{split}' for c in chosen)
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            data_prefix=data_prefix or {'img_path': 'rgb_anon', 'seg_map_path': 'gt'},
            **kwargs,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Returns the pictures in the order of their paths, condition by condition."""
        prefix: dict[str, str] = dict(self.data_prefix)
        found: list[dict[str, Any]] = []
        for part in self._parts or ('',):
            self.data_prefix = {
                key: osp.join(path, part) if part else path
                for key, path in prefix.items()
            }
            check_folder(self, self.data_prefix['img_path'])
            found += super().load_data_list()
        self.data_prefix = prefix
        check_pictures(self, found)
        return found
