from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('mmseg', reason='data sets of mmseg')

from mmkd_ext.errors import ConfigError, DataError
from mmkd_ext.registry import DATASETS

pytestmark = pytest.mark.mmseg
LOAD = [{'type': 'LoadImageFromFile'}, {'type': 'mmseg.LoadAnnotations'}]
PARTS = ('compound/cloudy', 'compound/rainy', 'compound/snowy', 'open/overcast')


@pytest.fixture
def root(tmp_path):
    """Two pictures of each condition of val, labels beside them."""
    truth = np.arange(24, dtype=np.uint8).reshape(4, 6)
    truth[truth > 18] = 255
    for part in PARTS:
        folder = tmp_path / 'val' / part
        folder.mkdir(parents=True)
        for name in ('b2', 'a1'):
            cv2.imwrite(str(folder / f'{name}.jpg'), np.zeros((4, 6, 3), np.uint8))
            cv2.imwrite(str(folder / f'{name}_train_id.png'), truth)
    return tmp_path


def build(root, **kwargs):
    config = {'type': 'mmkd_ext.CDrivingDataset', 'data_root': str(root)}
    return DATASETS.build({'pipeline': LOAD, **config, **kwargs})


@pytest.mark.parametrize('part', PARTS)
def test_a_condition_comes_in_the_order_of_names(root, part):
    data = build(root, condition=part.split('/')[1])
    names = [data.get_data_info(i)['img_path'] for i in range(len(data))]
    assert names == [f'{root}/val/{part}/a1.jpg', f'{root}/val/{part}/b2.jpg']
    assert sorted(np.unique(data[0]['gt_seg_map'])) == [*range(19), 255]


def test_labels_may_lie_elsewhere_and_groups_have_other_names(root):
    (root / 'images/val').mkdir(parents=True)
    (root / 'labels/val').mkdir(parents=True)
    (root / 'val/open').rename(root / 'images/val/mine')
    (root / 'labels/val/mine/overcast').mkdir(parents=True)
    for name in ('a1', 'b2'):
        truth = root / f'images/val/mine/overcast/{name}_train_id.png'
        truth.rename(root / f'labels/val/mine/overcast/{name}_train_id.png')
    data = build(
        root,
        condition='overcast',
        group='mine',
        data_prefix={'img_path': 'images', 'seg_map_path': 'labels'},
    )
    assert data[1]['gt_seg_map'].shape == (4, 6)


def test_it_has_the_classes_of_cityscapes(root):
    from mmseg.datasets import CityscapesDataset

    data = build(root, condition='rainy')
    assert data.metainfo['classes'] == CityscapesDataset.METAINFO['classes']


def test_a_missing_folder_is_named_with_what_there_is_instead(root):
    with pytest.raises(
        DataError, match=r'train/open_not_used/overcast` does not exist.*holds val'
    ):
        build(root, condition='overcast', split='train')


def test_an_empty_domain_is_an_error(root):
    for path in (root / 'val/compound/snowy').iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r'no picture ends in `.jpg`'):
        build(root, condition='snowy')


def test_an_unknown_condition_is_refused_with_the_nearest_one(root):
    with pytest.raises(ConfigError, match='Did you mean `rainy`'):
        build(root, condition='rain')
