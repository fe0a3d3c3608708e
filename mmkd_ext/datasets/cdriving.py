"""C-Driving: BDD100K by weather, cloudy, rainy, snowy and overcast."""

from __future__ import annotations

import os.path as osp
from typing import Any

from mmseg.datasets import BaseSegDataset, BDD100KDataset

from mmkd_ext.datasets._checks import check_folder, check_pictures
from mmkd_ext.errors import check_choice
from mmkd_ext.registry import DATASETS

__all__ = ['CDrivingDataset']

GROUPS = {
    'cloudy': {'train': 'compound', 'val': 'compound'},
    'rainy': {'train': 'compound', 'val': 'compound'},
    'snowy': {'train': 'compound', 'val': 'compound'},
    'overcast': {'train': 'open_not_used', 'val': 'open'},
}
"""Weather, and the folder it lies in, by split."""


@DATASETS.register_module()
class CDrivingDataset(BaseSegDataset):
    """C-Driving of Open Compound Domain Adaptation, with Cityscapes' 19 classes.

    Pictures are ``<split>/<group>/<condition>/*.jpg``, labels beside them
    ``*_train_id.png``, or elsewhere by ``data_prefix``; the group is ``compound``, and
    for overcast ``open_not_used`` (train) or ``open`` (val). Pictures come in the order
    of their names.

    Written from what is published about the data set, not checked against its files:
    where labels lie (in the layout of BDD100K,
    ``data_prefix=dict(img_path='images', seg_map_path='labels')``), how they end, and
    the group of overcast in val. A folder that is missing is an error that says what is
    there.

    Args:
        condition: ``'cloudy'``, ``'rainy'``, ``'snowy'`` or ``'overcast'``.
        split: ``'train'`` or ``'val'``.
        group: Folder between split and condition, in place of the usual one.
        data_prefix: Folders of pictures ``img_path`` and labels ``seg_map_path`` below
            ``data_root``, with the splits in them.
        img_suffix: How the name of a picture ends.
        seg_map_suffix: How the name of its labels ends.
        **kwargs: As for `mmseg.datasets.BaseSegDataset`.

    Raises:
        ConfigError: An unknown condition or split.
        DataError: A folder is missing or holds no pictures.
    """

    METAINFO = BDD100KDataset.METAINFO
    data_prefix: dict[str, str]

    def __init__(
        self,
        condition: str,
        split: str = 'val',
        group: str | None = None,
        data_prefix: dict[str, str] | None = None,
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '_train_id.png',
        **kwargs: Any,
    ) -> None:
        check_choice('condition', condition, tuple(GROUPS))
        check_choice('split', split, ('train', 'val'))
        self.condition, self.split = condition, split
        part = osp.join(split, group or GROUPS[condition][split], condition)
        prefix = data_prefix or {'img_path': '', 'seg_map_path': ''}
        super().__init__(
            data_prefix={key: osp.join(path, part) for key, path in prefix.items()},
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Returns the pictures in the order of their names."""
        check_folder(self, self.data_prefix['img_path'])
        found = super().load_data_list()
        check_pictures(self, found)
        return found
