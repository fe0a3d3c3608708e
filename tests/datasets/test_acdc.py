from __future__ import annotations

import shutil

import numpy as np
import pytest

pytest.importorskip('mmseg', reason='data sets of mmseg')

from mmkd_ext.errors import ConfigError, DataError
from mmkd_ext.registry import DATASETS

pytestmark = pytest.mark.mmseg
LOAD = [{'type': 'LoadImageFromFile'}, {'type': 'mmseg.LoadAnnotations'}]


def build(root, **kwargs):
    return DATASETS.build(
        {
            'type': 'mmkd_ext.ACDCDataset',
            'data_root': str(root),
            'pipeline': LOAD,
            **kwargs,
        }
    )


def test_one_condition_comes_in_the_order_of_time(small_streets):
    data = build(small_streets, condition='fog')
    names = [data.get_data_info(i)['img_path'] for i in range(len(data))]
    assert names == [
        f'{small_streets}/rgb_anon/fog/train/street0000/'
        f'street0000_frame_{i:06d}_rgb_anon.png'
        for i in (1, 2, 3, 4)
    ]
    item = data[0]
    assert item['img'].shape == (64, 128, 3)
    assert set(np.unique(item['gt_seg_map'])) <= {*range(19), 255}


def test_without_condition_all_four_come_one_after_another(small_streets):
    data = build(small_streets, split='val')
    names = [data.get_data_info(i)['img_path'] for i in range(len(data))]
    order = [name.split('/rgb_anon/')[1].split('/')[0] for name in names]
    assert order == ['fog'] * 4 + ['night'] * 4 + ['rain'] * 4 + ['snow'] * 4
    assert names == sorted(names)


def test_a_prefix_does_what_condition_and_split_do(small_streets):
    prefix = {'img_path': 'rgb_anon/snow/val', 'seg_map_path': 'gt/snow/val'}
    one = build(small_streets, data_prefix=prefix)
    other = build(small_streets, condition='snow', split='val')
    assert one.load_data_list() == other.load_data_list()
    assert len(one) == 4


def test_it_has_the_classes_and_colours_of_cityscapes(small_streets):
    from mmseg.datasets import CityscapesDataset

    data = build(small_streets, condition='rain')
    assert data.metainfo['classes'] == CityscapesDataset.METAINFO['classes']
    assert data.metainfo['palette'] == CityscapesDataset.METAINFO['palette']


def test_a_missing_folder_is_named_with_what_there_is_instead(small_streets, tmp_path):
    with pytest.raises(
        DataError, match=r'rgb_anon/fog/test` does not exist.*train, val'
    ):
        build(small_streets, condition='fog', split='test')
    with pytest.raises(DataError, match='Set `data_root`'):
        build(tmp_path / 'nowhere', condition='fog')


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / 'rgb_anon/fog/train').mkdir(parents=True)
    with pytest.raises(DataError, match=r'no picture ends in `_rgb_anon.png`'):
        build(tmp_path, condition='fog')


@pytest.mark.parametrize(
    ('key', 'value', 'hint'),
    [
        ('condition', 'foggy', 'Did you mean `fog`'),
        ('split', 'trian', 'Did you mean `train`'),
    ],
)
def test_an_unknown_word_is_refused_with_the_nearest_one(
    small_streets, key, value, hint
):
    with pytest.raises(ConfigError, match=f'`{key}` must be one of.*{hint}'):
        build(small_streets, **{key: value})


def test_condition_beside_prefix_is_refused(small_streets):
    prefix = {'img_path': 'rgb_anon/snow/val', 'seg_map_path': 'gt/snow/val'}
    with pytest.raises(ConfigError, match='both say which pictures'):
        build(small_streets, condition='snow', data_prefix=prefix)


def test_pictures_without_labels_can_be_listed(small_streets, tmp_path):
    shutil.copytree(small_streets / 'rgb_anon', tmp_path / 'rgb_anon')
    data = build(tmp_path, condition='night')
    assert len(data) == 4
    with pytest.raises(FileNotFoundError):
        data.prepare_data(0)
