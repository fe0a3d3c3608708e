"""CamVid: street scenes from a car, 11 classes."""

from __future__ import annotations

from typing import Any, ClassVar

from mmseg.datasets import BaseSegDataset

from mmkd_ext.datasets._checks import check_file, check_folder, check_pictures
from mmkd_ext.registry import DATASETS

__all__ = ['CamVidDataset']


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid with the usual 11 classes as label indices, 255 where none is.

    ``ann_file`` lists pictures without suffix, one a line, such as
    ``train/0006R0_f00930``, relative to ``data_prefix``; without it, all pictures below
    the prefix are read.

    Args:
        data_prefix: Folders of pictures and labels below ``data_root``.
        img_suffix: How the name of a picture ends; ``'.png'`` in the original files.
        seg_map_suffix: How the name of its labels ends.
        **kwargs: As for `mmseg.datasets.BaseSegDataset`.

    Raises:
        DataError: A folder or the list is missing, or no picture is found.
    """

    METAINFO: ClassVar[dict[str, Any]] = {
        'classes': (
            'sky',
            'building',
            'pole',
            'road',
            'pavement',
            'tree',
            'sign',
            'fence',
            'car',
            'pedestrian',
            'bicyclist',
        ),
        'palette': [
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [60, 40, 222],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    }

    def __init__(
        self,
        data_prefix: dict[str, str] | None = None,
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '.png',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            data_prefix=data_prefix or {'img_path': 'images', 'seg_map_path': 'labels'},
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Returns the pictures of the list, or all."""
        check_folder(self, self.data_prefix['img_path'])
        if self.ann_file:
            check_file(self, self.ann_file, 'list of pictures')
        found = super().load_data_list()
        check_pictures(self, found)
        return found
