from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('mmseg', reason='data sets of mmseg')

from mmkd_ext.errors import ConfigError, DataError
from mmkd_ext.registry import DATASETS

pytestmark = pytest.mark.mmseg
LOAD = [{'type': 'LoadImageFromFile'}, {'type': 'mmkd_ext.LoadSHIFTAnnotations'}]
FRONT = 'discrete/images/val/front'


@pytest.fixture
def root(tmp_path):
    """Two sequences of two pictures; labels are all 23 ids, in the red channel."""
    ids = np.arange(24, dtype=np.uint8).reshape(4, 6) % 23
    for sequence in ('aaaa-0001', 'bbbb-0002'):
        for frame in ('00000000', '00000010'):
            for kind, suffix in (('img', 'jpg'), ('semseg', 'png')):
                folder = tmp_path / FRONT / kind / sequence
                folder.mkdir(parents=True, exist_ok=True)
                picture = np.dstack([ids * 0 + 7, ids * 0 + 9, ids])  # blue, green, red
                path = folder / f'{frame}_{kind}_front.{suffix}'
                cv2.imwrite(str(path), picture)
    (tmp_path / FRONT / 'seq.csv').write_text(
        'video,start_weather_coarse\naaaa-0001,clear\nbbbb-0002,foggy\n'
    )
    return tmp_path


def build(root, **kwargs):
    config = {'type': 'mmkd_ext.SHIFTDataset', 'data_root': str(root)}
    return DATASETS.build({'pipeline': LOAD, **config, **kwargs})


def names(data):
    return [data.get_data_info(i)['img_path'] for i in range(len(data))]


def test_pictures_come_sequence_by_sequence_in_the_order_of_time(root):
    assert names(build(root)) == [
        f'{root}/{FRONT}/img/{sequence}/{frame}_img_front.jpg'
        for sequence in ('aaaa-0001', 'bbbb-0002')
        for frame in ('00000000', '00000010')
    ]


def test_labels_of_the_red_channel_become_train_ids_of_cityscapes(root):
    truth = build(root)[0]['gt_seg_map']
    ignored = 255
    by_hand = [
        [ignored, 2, 4, ignored, 11, 5],  # -, building, fence, other, person, pole
        [0, 0, 1, 8, 13, 3],  # line, road, sidewalk, vegetation, vehicle, wall
        [7, 10, ignored, ignored, ignored, ignored],  # sign, sky, ground, bridge, ...
        [6, ignored, ignored, ignored, 9, ignored],  # light, static, ..., terrain, -
    ]
    assert truth.tolist() == by_hand


def test_each_mapped_class_has_the_name_it_has_in_cityscapes(root):
    carla = (
        'unlabeled, building, fence, other, person, pole, road, road, sidewalk, '
        'vegetation, car, wall, traffic sign, sky, ground, bridge, rail track, '
        'guard rail, traffic light, static, dynamic, water, terrain'
    )
    data = build(root)
    classes = data.metainfo['classes']
    for old, new in data.get_data_info(0)['label_map'].items():
        if new != 255:
            assert classes[new] == carla.split(', ')[old]


def test_vehicles_can_be_left_out(root):
    truth = build(root, vehicles='ignore')[0]['gt_seg_map']
    assert truth[1, 4] == 255
    assert truth[1, 5] == 3


def test_labels_of_one_channel_are_read_as_they_are(root):
    path = root / FRONT / 'semseg/aaaa-0001/00000000_semseg_front.png'
    cv2.imwrite(str(path), np.full((4, 6), 13, np.uint8))
    assert (build(root)[0]['gt_seg_map'] == 10).all()


def test_where_keeps_the_sequences_of_one_condition(root):
    data = build(root, where={'start_weather_coarse': 'foggy'})
    assert [name.split('/')[-2] for name in names(data)] == ['bbbb-0002'] * 2


@pytest.mark.parametrize(
    ('where', 'says'),
    [
        ({'weather': 'foggy'}, r"no column 'weather'; it has.*start_weather_coarse"),
        ({'start_weather_coarse': 'fog'}, r"the values there are.*'clear', 'foggy'"),
    ],
)
def test_what_where_does_not_find_is_named_with_what_there_is(root, where, says):
    with pytest.raises(DataError, match=says):
        build(root, where=where)


def test_missing_parts_are_named(root, tmp_path):
    with pytest.raises(DataError, match=r'images/train` does not exist|holds val'):
        build(root, split='train')
    with pytest.raises(ConfigError, match='Did you mean `val`'):
        build(root, split='vla')
    (root / FRONT / 'seq.csv').unlink()
    with pytest.raises(DataError, match=r'table of sequences `.*seq.csv`'):
        build(root, where={'start_weather_coarse': 'foggy'})


def test_an_empty_domain_is_an_error(root):
    (root / FRONT / 'seq.csv').write_text('video,start_weather_coarse\ncc,foggy\n')
    with pytest.raises(DataError, match='have no picture below'):
        build(root, where={'start_weather_coarse': 'foggy'})
    (root / 'discrete/images/test/front/img').mkdir(parents=True)
    with pytest.raises(DataError, match=r'no picture ends in `_img_front.jpg`'):
        build(root, split='test')
