from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('mmseg', reason='data sets of mmseg')

from mmkd_ext.errors import DataError
from mmkd_ext.registry import DATASETS

pytestmark = pytest.mark.mmseg
LOAD = [{'type': 'LoadImageFromFile'}, {'type': 'mmseg.LoadAnnotations'}]


@pytest.fixture
def root(tmp_path):
    """Three pictures in the layout, two of them listed."""
    for name in ('train/a_1', 'train/a_2', 'val/b_1'):
        for kind, suffix in (('images', '.jpg'), ('labels', '.png')):
            path = tmp_path / kind / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            label = np.arange(48, dtype=np.uint8).reshape(6, 8) % 12
            label[label == 11] = 255
            cv2.imwrite(str(path), label)
    (tmp_path / 'splits').mkdir()
    (tmp_path / 'splits/train.txt').write_text('train/a_2\ntrain/a_1\n')
    return tmp_path


def build(root, **kwargs):
    return DATASETS.build(
        {
            'type': 'mmkd_ext.CamVidDataset',
            'data_root': str(root),
            'pipeline': LOAD,
            **kwargs,
        }
    )


def test_a_list_says_which_pictures_and_in_which_order(root):
    data = build(root, ann_file='splits/train.txt')
    names = [data.get_data_info(i)['img_path'] for i in range(len(data))]
    assert names == [f'{root}/images/train/a_2.jpg', f'{root}/images/train/a_1.jpg']
    item = data[0]
    assert sorted(np.unique(item['gt_seg_map'])) == [*range(11), 255]


def test_without_a_list_all_pictures_come(root):
    assert len(build(root)) == 3


def test_there_are_11_classes_each_with_a_colour(root):
    meta = build(root).metainfo
    assert len(meta['classes']) == len(meta['palette']) == 11
    assert meta['classes'][0] == 'sky'
    assert meta['classes'][3] == 'road'


def test_missing_parts_are_named(root, tmp_path):
    with pytest.raises(DataError, match=r'list of pictures `.*/splits/dusk.txt`'):
        build(root, ann_file='splits/dusk.txt')
    with pytest.raises(DataError, match=r'`.*/nowhere/images` does not exist'):
        build(tmp_path / 'nowhere')
    with pytest.raises(DataError, match=r'no picture ends in `.tiff`'):
        build(root, img_suffix='.tiff')
