"""SHIFT: simulated driving in changing weather, with Cityscapes' classes."""

from __future__ import annotations

import csv
import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmseg.datasets import BaseSegDataset, CityscapesDataset
from mmseg.datasets.transforms import LoadAnnotations

from mmkd_ext.datasets._checks import check_file, check_folder, check_pictures
from mmkd_ext.errors import DataError, check_choice
from mmkd_ext.registry import DATASETS, TRANSFORMS

__all__ = ['LoadSHIFTAnnotations', 'SHIFTDataset']

CITYSCAPES_OF = {
    1: 2,  # building
    2: 4,  # fence
    4: 11,  # pedestrian -> person; riders are among them
    5: 5,  # pole
    6: 0,  # road line -> road
    7: 0,  # road
    8: 1,  # sidewalk
    9: 8,  # vegetation
    10: 13,  # vehicle -> car; whatever moves on wheels is among them
    11: 3,  # wall
    12: 7,  # traffic sign
    13: 10,  # sky
    18: 6,  # traffic light
    22: 9,  # terrain
}
"""CARLA's label ids, which SHIFT uses, and Cityscapes' train ids. Not mapped, so
ignored: 0 unlabeled, 3 other, 14 ground, 15 bridge, 16 rail track, 17 guard rail,
19 static, 20 dynamic, 21 water."""


@DATASETS.register_module()
class SHIFTDataset(BaseSegDataset):
    """The discrete images of SHIFT, unpacked, with Cityscapes' 19 classes.

    Pictures are ``discrete/images/<split>/<view>/img/<sequence>/*_img_<view>.jpg``,
    labels ``.../semseg/<sequence>/*_semseg_<view>.png``. Load the labels with
    ``mmkd_ext.LoadSHIFTAnnotations``. Pictures come in the order of their paths.

    SHIFT has one class for all vehicles and one for all people, so of Cityscapes' 19
    classes rider, truck, bus, train, motorcycle and bicycle never occur in the truth,
    and a bus that is rightly predicted as one counts as a mistake;
    ``vehicles='ignore'`` leaves vehicles out instead.

    Written from what is published about the data set, not checked against its files:
    the names of the folders and files, and the columns of ``seq.csv``. A part that is
    not as expected is an error that says what is there.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        view: Camera; the name of its folder.
        where: Column of ``discrete/images/<split>/<view>/seq.csv`` and the value it
            must have, as ``dict(start_weather_coarse='foggy')``; only such sequences
            come.
        sequence: Column of that file with the name of the sequence.
        vehicles: ``'car'`` or ``'ignore'``.
        data_prefix: Folders ``img_path`` and ``seg_map_path`` below ``data_root``, in
            place of ``split`` and ``view``.
        **kwargs: As for `mmseg.datasets.BaseSegDataset`.

    Raises:
        ConfigError: An unknown split or treatment of vehicles.
        DataError: A folder, the file or a column is missing, or no picture is left.
    """

    METAINFO = CityscapesDataset.METAINFO
    data_prefix: dict[str, str]

    def __init__(
        self,
        split: str = 'val',
        view: str = 'front',
        where: Mapping[str, str] | None = None,
        sequence: str = 'video',
        vehicles: str = 'car',
        data_prefix: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice('split', split, ('train', 'val', 'test'))
        check_choice('vehicles', vehicles, ('car', 'ignore'))
        self._where, self._sequence = dict(where or {}), sequence
        self._ids = dict.fromkeys(range(23), 255) | CITYSCAPES_OF
        if vehicles == 'ignore':
            self._ids[10] = 255
        folder = f'discrete/images/{split}/{view}'
        super().__init__(
            img_suffix=f'_img_{view}.jpg',
            seg_map_suffix=f'_semseg_{view}.png',
            data_prefix=data_prefix
            or {'img_path': f'{folder}/img', 'seg_map_path': f'{folder}/semseg'},
            **kwargs,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Returns the pictures of the chosen sequences in the order of their paths."""
        self.label_map = self._ids
        check_folder(self, self.data_prefix['img_path'])
        found = super().load_data_list()
        check_pictures(self, found)
        if self._where:
            names = self._sequences()
            found = [info for info in found if _folder(info['img_path']) in names]
            if not found:
                raise DataError(
                    f'SHIFTDataset: the {len(names)} sequences with {self._where} have '
                    f'no picture below `{self.data_prefix["img_path"]}`. Unpack them, '
                    f'or choose others.'
                )
        return found

    def _sequences(self) -> set[str]:
        """Returns the names of the sequences that `where` chooses."""
        path = osp.join(osp.dirname(self.data_prefix['img_path']), 'seq.csv')
        check_file(self, path, 'table of sequences')
        with open(path, encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
        columns = sorted(rows[0]) if rows else []
        for column in (self._sequence, *self._where):
            if column not in columns:
                raise DataError(
                    f'SHIFTDataset: `{path}` has no column {column!r}; it has '
                    f'{columns}. Name one of them in `where` or `sequence`.'
                )
        names = {
            row[self._sequence]
            for row in rows
            if all(row[column] == value for column, value in self._where.items())
        }
        if not names:
            values = {name: sorted({row[name] for row in rows}) for name in self._where}
            raise DataError(
                f'SHIFTDataset: no sequence of `{path}` has {self._where}; the values '
                f'there are {values}.'
            )
        return names


def _folder(path: str) -> str:
    """Returns the name of the folder a file lies in."""
    return osp.basename(osp.dirname(path))


@TRANSFORMS.register_module()
class LoadSHIFTAnnotations(LoadAnnotations):
    """Loads labels that stand in the red channel, as CARLA writes them.

    A file of one channel is read as it is. Which of the two SHIFT has was not checked
    against its files.
    """

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        """Keeps the red channel of what mmseg loads as blue, green, red."""
        super()._load_seg_map(results)
        labels = results['gt_seg_map']
        if labels.ndim == 3:
            results['gt_seg_map'] = labels[..., 2].copy()
