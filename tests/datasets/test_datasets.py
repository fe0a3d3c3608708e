"""The data sets that read ACDC, CamVid, C-Driving and SHIFT, on folders as theirs."""

from __future__ import annotations

import re
import shutil

import cv2
import numpy as np
import pytest

pytest.importorskip('mmseg', reason='data sets of mmseg')

from mmseg.datasets import CityscapesDataset

from mmkd_ext.errors import ConfigError, DataError
from mmkd_ext.registry import DATASETS

pytestmark = pytest.mark.mmseg
PARTS = ('compound/cloudy', 'compound/rainy', 'compound/snowy', 'open/overcast')
FRONT = 'discrete/images/val/front'
SNOW = {'img_path': 'rgb_anon/snow/val', 'seg_map_path': 'gt/snow/val'}
FOGGY = {'start_weather_coarse': 'foggy'}


def build(name, root, **kwargs):
    own = 'mmkd_ext.' if name == 'SHIFT' else 'mmseg.'
    labels = f'{own}Load{"SHIFT" if name == "SHIFT" else ""}Annotations'
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': labels}]
    return DATASETS.build({'type': f'mmkd_ext.{name}Dataset', 'data_root': str(root),
                           'pipeline': pipeline, **kwargs})


def names(data):
    return [data.get_data_info(i)['img_path'] for i in range(len(data))]


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def camvid(tmp_path):
    """Three pictures in the layout, two of them listed."""
    label = np.arange(48, dtype=np.uint8).reshape(6, 8) % 12
    label[label == 11] = 255
    for name in ('train/a_1', 'train/a_2', 'val/b_1'):
        write(tmp_path / 'images' / f'{name}.jpg', label)
        write(tmp_path / 'labels' / f'{name}.png', label)
    (tmp_path / 'splits').mkdir()
    (tmp_path / 'splits/train.txt').write_text('train/a_2\ntrain/a_1\n')
    return tmp_path


@pytest.fixture
def cdriving(tmp_path):
    """Two pictures of each condition of val, labels beside them."""
    truth = np.arange(24, dtype=np.uint8).reshape(4, 6)
    truth[truth > 18] = 255
    for part in PARTS:
        for name in ('b2', 'a1'):
            folder = tmp_path / 'val' / part
            write(folder / f'{name}.jpg', np.zeros((4, 6, 3), np.uint8))
            write(folder / f'{name}_train_id.png', truth)
    return tmp_path


@pytest.fixture
def shift(tmp_path):
    """Two sequences of two pictures; labels are all 23 ids, in the red channel."""
    ids = np.arange(24, dtype=np.uint8).reshape(4, 6) % 23
    picture = np.dstack([ids * 0 + 7, ids * 0 + 9, ids])  # blue, green, red
    for sequence in ('aaaa-0001', 'bbbb-0002'):
        for frame in ('00000000', '00000010'):
            for kind, suffix in (('img', 'jpg'), ('semseg', 'png')):
                folder = tmp_path / FRONT / kind / sequence
                write(folder / f'{frame}_{kind}_front.{suffix}', picture)
    (tmp_path / FRONT / 'seq.csv').write_text(
        'video,start_weather_coarse\naaaa-0001,clear\nbbbb-0002,foggy\n')
    return tmp_path


@pytest.fixture
def roots(small_streets, camvid, cdriving, shift):
    """All four (camvid, cdriving and shift do not get in each other's way)."""
    return dict(ACDC=small_streets, CamVid=camvid, CDriving=cdriving, SHIFT=shift)


# ---- all of them --------------------------------------------------------------------


@pytest.mark.parametrize(('name', 'settings'), [
    ('ACDC', dict(condition='rain')), ('CDriving', dict(condition='rainy')),
    ('SHIFT', {}), ('CamVid', {})])
def test_classes_and_colours_are_those_of_cityscapes_or_the_eleven(
        roots, name, settings):
    meta = build(name, roots[name], **settings).metainfo
    if name == 'CamVid':
        assert len(meta['classes']) == len(meta['palette']) == 11
        assert (meta['classes'][0], meta['classes'][3]) == ('sky', 'road')
    else:
        assert meta['classes'] == CityscapesDataset.METAINFO['classes']
        assert meta['palette'] == CityscapesDataset.METAINFO['palette']


@pytest.mark.parametrize(('name', 'settings', 'told'), [
    ('ACDC', dict(condition='fog', split='test'), r'rgb_anon/fog/test`.*train, val'),
    ('CDriving', dict(condition='overcast', split='train'), r'train/.*holds .*val'),
    ('SHIFT', dict(split='train'), r'images/train`|holds val'),
    ('SHIFT', dict(where=dict(weather='foggy')), r"'weather'.*start_weather_coarse"),
    ('SHIFT', dict(where=dict(start_weather_coarse='fog')), r"'clear', 'foggy'"),
    ('CamVid', dict(ann_file='splits/dusk.txt'), r'`.*/splits/dusk.txt`'),
    ('CamVid', dict(img_suffix='.tiff'), r'`.tiff`'),
    ('CamVid', dict(data_root='nowhere'), r'nowhere/images`'),
    ('ACDC', dict(condition='fog', data_root='nowhere'), 'Set `data_root`')])
def test_what_is_missing_is_named_with_what_there_is_instead(
        roots, name, settings, told):
    with pytest.raises(DataError, match=told):
        build(name, roots[name], **settings)


@pytest.mark.parametrize(('name', 'settings', 'told'), [
    ('ACDC', dict(condition='foggy'), '`condition`.*Did you mean `fog`'),
    ('ACDC', dict(split='trian'), '`split`.*Did you mean `train`'),
    ('ACDC', dict(condition='snow', data_prefix=SNOW), 'both'),
    ('CDriving', dict(condition='rain'), 'Did you mean `rainy`'),
    ('SHIFT', dict(split='vla'), 'Did you mean `val`')])
def test_an_unknown_word_is_refused_with_the_nearest_one(roots, name, settings, told):
    with pytest.raises(ConfigError, match=told):
        build(name, roots[name], **settings)


def test_an_empty_domain_is_an_error(cdriving, shift, tmp_path):
    (tmp_path / 'rgb_anon/fog/train').mkdir(parents=True)
    with pytest.raises(DataError, match=r'`_rgb_anon\.png`'):
        build('ACDC', tmp_path, condition='fog')
    for path in (cdriving / 'val/compound/snowy').iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r'`\.jpg`'):
        build('CDriving', cdriving, condition='snowy')
    (shift / 'discrete/images/test/front/img').mkdir(parents=True)
    with pytest.raises(DataError, match=r'`_img_front\.jpg`'):
        build('SHIFT', shift, split='test')
    table = shift / FRONT / 'seq.csv'
    table.write_text('video,start_weather_coarse\ncc,foggy\n')
    with pytest.raises(DataError, match='have no picture below'):
        build('SHIFT', shift, where=FOGGY)
    table.unlink()
    with pytest.raises(DataError, match=r'`.*seq.csv`'):
        build('SHIFT', shift, where=FOGGY)


# ---- ACDC ---------------------------------------------------------------------------


def test_acdc_gives_one_condition_in_the_order_of_time(small_streets):
    data = build('ACDC', small_streets, condition='fog')
    folder = f'{small_streets}/rgb_anon/fog/train/street0000'
    assert names(data) == [
        f'{folder}/street0000_frame_{i:06d}_rgb_anon.png' for i in (1, 2, 3, 4)]
    assert data[0]['img'].shape == (64, 128, 3)
    assert set(np.unique(data[0]['gt_seg_map'])) <= {*range(19), 255}


def test_acdc_gives_all_four_one_after_another_without_a_condition(small_streets):
    found = names(build('ACDC', small_streets, split='val'))
    order = [name.split('/rgb_anon/')[1].split('/')[0] for name in found]
    assert order == ['fog'] * 4 + ['night'] * 4 + ['rain'] * 4 + ['snow'] * 4
    assert found == sorted(found)


def test_a_prefix_does_what_condition_and_split_of_acdc_do(small_streets):
    one = build('ACDC', small_streets, data_prefix=SNOW)
    other = build('ACDC', small_streets, condition='snow', split='val')
    assert one.load_data_list() == other.load_data_list()
    assert len(one) == 4


def test_pictures_of_acdc_without_labels_can_be_listed(small_streets, tmp_path):
    shutil.copytree(small_streets / 'rgb_anon', tmp_path / 'rgb_anon')
    data = build('ACDC', tmp_path, condition='night')
    assert len(data) == 4
    with pytest.raises(FileNotFoundError):
        data.prepare_data(0)


# ---- CamVid and C-Driving -----------------------------------------------------------


def test_a_list_says_which_pictures_of_camvid_come_and_in_which_order(camvid):
    data = build('CamVid', camvid, ann_file='splits/train.txt')
    assert names(data) == [f'{camvid}/images/train/a_{i}.jpg' for i in (2, 1)]
    assert sorted(np.unique(data[0]['gt_seg_map'])) == [*range(11), 255]
    assert len(build('CamVid', camvid)) == 3


@pytest.mark.parametrize('part', PARTS)
def test_a_condition_of_cdriving_comes_in_the_order_of_names(cdriving, part):
    data = build('CDriving', cdriving, condition=part.split('/')[1])
    assert names(data) == [f'{cdriving}/val/{part}/{name}.jpg' for name in ('a1', 'b2')]
    assert sorted(np.unique(data[0]['gt_seg_map'])) == [*range(19), 255]


def test_labels_of_cdriving_may_lie_elsewhere_in_groups_of_other_names(cdriving):
    (cdriving / 'images/val').mkdir(parents=True)
    (cdriving / 'val/open').rename(cdriving / 'images/val/mine')
    (cdriving / 'labels/val/mine/overcast').mkdir(parents=True)
    for truth in (cdriving / 'images/val/mine/overcast').glob('*.png'):
        truth.rename(cdriving / 'labels/val/mine/overcast' / truth.name)
    prefix = {'img_path': 'images', 'seg_map_path': 'labels'}
    data = build('CDriving', cdriving, condition='overcast', group='mine',
                 data_prefix=prefix)
    assert data[1]['gt_seg_map'].shape == (4, 6)


# ---- SHIFT --------------------------------------------------------------------------


def test_pictures_of_shift_come_sequence_by_sequence_in_the_order_of_time(shift):
    every = [f'{shift}/{FRONT}/img/{sequence}/{frame}_img_front.jpg'
             for sequence in ('aaaa-0001', 'bbbb-0002')
             for frame in ('00000000', '00000010')]
    assert names(build('SHIFT', shift)) == every
    assert names(build('SHIFT', shift, where=FOGGY)) == every[2:]


def test_labels_of_the_red_channel_become_train_ids_of_cityscapes(shift):
    ignored = 255
    by_hand = [
        [ignored, 2, 4, ignored, 11, 5],  # -, building, fence, other, person, pole
        [0, 0, 1, 8, 13, 3],  # line, road, sidewalk, vegetation, vehicle, wall
        [7, 10, ignored, ignored, ignored, ignored],  # sign, sky, ground, bridge, ...
        [6, ignored, ignored, ignored, 9, ignored]]  # light, static, ..., terrain, -
    assert build('SHIFT', shift)[0]['gt_seg_map'].tolist() == by_hand
    by_hand[1][4] = ignored
    truth = build('SHIFT', shift, vehicles='ignore')[0]['gt_seg_map']
    assert truth.tolist() == by_hand
    path = shift / FRONT / 'semseg/aaaa-0001/00000000_semseg_front.png'
    cv2.imwrite(str(path), np.full((4, 6), 13, np.uint8))  # of one channel
    assert (build('SHIFT', shift)[0]['gt_seg_map'] == 10).all()


def test_each_mapped_class_of_shift_has_the_name_it_has_in_cityscapes(shift):
    carla = re.findall(
        r'[a-z_-]+',
        '- building fence other person pole road road sidewalk vegetation car wall '
        'traffic_sign sky ground bridge rail guard traffic_light static dynamic water '
        'terrain')
    data = build('SHIFT', shift)
    mapped = data.get_data_info(0)['label_map']
    assert all(data.metainfo['classes'][new].replace(' ', '_') == carla[old]
               for old, new in mapped.items() if new != 255)
