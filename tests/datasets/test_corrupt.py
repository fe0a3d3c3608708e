"""Corruptions: stronger with severity, repeatable, and of the picture alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('mmcv', reason='a transform of mmcv')

from mmkd_ext.datasets import corruptions
from mmkd_ext.datasets.corrupt import Corrupt
from mmkd_ext.errors import ConfigError, DataError

KINDS = sorted(corruptions.CORRUPTIONS)


@pytest.fixture(scope='module')
def scene(small_streets) -> np.ndarray:
    """A drawn street by day, 64 x 128."""
    path = sorted(small_streets.glob('leftImg8bit/train/*/*.png'))[0]
    return cv2.imread(str(path))


def results(image, name='data/drive/frame_1.png', index=0):
    return {'img': image.copy(), 'img_path': name, 'sample_idx': index}


def change(image, kind, severity):
    """Mean change of a level by a corruption."""
    there = Corrupt(kind, severity)(results(image))['img'].astype(float)
    return float(np.abs(there - image).mean())


@pytest.mark.parametrize('kind', KINDS)
def test_every_severity_changes_more_than_the_one_before(scene, kind):
    steps = [change(scene, kind, severity) for severity in (0, 1, 2.5, 5)]
    assert steps[0] == 0 < steps[1]
    assert all(after > 1.2 * before for before, after in zip(steps, steps[1:]))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('size', [(33, 47), (16, 16), (200, 90)])
def test_any_size_stays_as_it_is(kind, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    there = Corrupt(kind, 4)(results(image))['img']
    assert there.shape == image.shape
    assert there.dtype == np.uint8
    assert there.flags.c_contiguous


@pytest.mark.parametrize('kind', KINDS)
def test_a_picture_comes_out_the_same_whatever_was_loaded_before(scene, kind):
    fresh = Corrupt(kind, 3, seed=4)
    used = Corrupt(kind, 3, seed=4)
    for index in range(3):
        used(results(scene, f'data/drive/other_{index}.png', index))
    np.random.default_rng().random(7)
    first = fresh(results(scene))['img']
    assert (used(results(scene))['img'] == first).all()


def test_chance_is_the_same_in_another_process():
    """Also where strings hash differently."""
    code = (
        'from mmkd_ext.datasets.corruptions import chance\n'
        "print(chance(3, 'rain', 'drive/frame_1.png').random())\n")
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True)
    here = corruptions.chance(3, 'rain', 'drive/frame_1.png').random()
    assert float(done.stdout) == here


@pytest.mark.parametrize('kind', ['rain', 'snow', 'noise', 'night', 'fog'])
def test_frames_seeds_and_drives_differ(scene, kind):
    here = Corrupt(kind, 3)(results(scene))['img']
    for name, seed in (
        ('data/drive/frame_2.png', 0),
        ('data/other/frame_1.png', 0),
        ('data/drive/frame_1.png', 1),
    ):
        other = Corrupt(kind, 3, seed=seed)(results(scene, name))['img']
        assert (other != here).any()
    # where the data lie makes no difference
    moved = Corrupt(kind, 3)(results(scene, '/mnt/a/drive/frame_1.png'))['img']
    assert (moved == here).all()


def test_a_ramp_is_linear_between_its_pairs_and_constant_outside(scene):
    ramp = Corrupt('fog', severity=[(10, 0), (20, 5), (40, 1)])
    severities = [ramp.severity_at(at) for at in (0, 10, 15, 20, 30, 40, 99)]
    assert severities == [0, 0, 2.5, 5, 3, 1, 1]
    by_ramp = ramp(results(scene, index=15))['img']
    by_number = Corrupt('fog', 2.5)(results(scene))['img']
    assert (by_ramp == by_number).all()
    assert (ramp(results(scene, index=3))['img'] == scene).all()


@pytest.mark.mmseg
def test_a_ramp_follows_the_position_in_a_data_set(small_streets):
    from mmkd_ext.registry import DATASETS

    config = {
        'type': 'mmkd_ext.ACDCDataset', 'data_root': str(small_streets),
        'condition': 'fog'}
    load = [{'type': 'LoadImageFromFile'}]
    corrupt = {'type': 'mmkd_ext.Corrupt', 'kind': 'night'}
    clean = DATASETS.build({**config, 'pipeline': load})
    ramp = DATASETS.build(
        {**config, 'pipeline': [*load, {**corrupt, 'severity': [(1, 0), (3, 5)]}]})
    change = [
        np.abs(ramp[i]['img'].astype(float) - clean[i]['img']).mean() for i in range(4)]
    assert change[0] == change[1] == 0
    assert 0 < change[2] < change[3]
    fixed = DATASETS.build(
        {**config, 'pipeline': [*load, {**corrupt, 'severity': 5.0}]})
    assert (fixed[3]['img'] == ramp[3]['img']).all()


def loader_of(root, condition, *, workers=0, labels=False, **dataset):
    """The loader of a stream over pictures in rain."""
    from mmengine.runner import Runner

    truth = [{'type': 'mmseg.LoadAnnotations'}] * labels
    corrupt = {'type': 'mmkd_ext.Corrupt', 'kind': 'rain'}
    pipeline = [{'type': 'LoadImageFromFile'}, corrupt, *truth,
                {'type': 'mmseg.PackSegInputs'}]
    dataset = {'type': 'mmkd_ext.ACDCDataset', 'data_root': str(root),
               'condition': condition, 'pipeline': pipeline, **dataset}
    sampler = {'type': 'DefaultSampler', 'shuffle': False}
    return Runner.build_dataloader({'batch_size': 1, 'num_workers': workers,
                                    'dataset': dataset, 'sampler': sampler})


@pytest.mark.mmseg
@pytest.mark.parametrize('workers', [0, 2])
def test_workers_and_order_make_no_difference(small_streets, workers):
    """Read from the middle as after a resume."""
    whole = [d['inputs'][0] for d in loader_of(small_streets, 'snow')]
    rest = loader_of(small_streets, 'snow', workers=workers, indices=[2, 3])
    found = [d['inputs'][0] for d in rest]
    assert len(found) == 2
    assert all((a == b).all() for a, b in zip(whole[2:], found))


def test_fog_hides_what_is_far_and_leaves_what_is_near(scene):
    depth = corruptions.street_depth(64, 128)
    there = Corrupt('fog', 4)(results(scene))['img'].astype(float)
    far, near = depth > 150, depth < 6
    assert there[far].std() < 0.35 * scene[far].std()
    assert there[near].std() > 0.5 * scene[near].std()


@pytest.mark.parametrize(('severity', 'spread'), [(1, 0.08), (3, 0.18), (5, 0.38)])
def test_noise_is_as_strong_as_in_imagenet_c(severity, spread):
    """Spreads of Gaussian noise by Hendrycks and Dietterich, ICLR 2019."""
    grey = np.full((256, 256, 3), 128, np.float32)
    rng = np.random.default_rng(0)
    there = corruptions.noise(grey, severity / 5, rng, rng)
    assert np.std(there) / 255 == pytest.approx(spread, rel=0.01)


def test_labels_and_all_else_stay(scene):
    truth = np.arange(64 * 128).reshape(64, 128)
    given = {**results(scene), 'gt_seg_map': truth.copy(), 'scale': (128, 64)}
    there = Corrupt('fog')(given)
    assert (there['gt_seg_map'] == truth).all()
    assert there['scale'] == (128, 64)


@pytest.mark.parametrize(('settings', 'says'), [
    ({'kind': 'fogg'}, 'Did you mean `fog`'),
    ({'severity': 6}, '`severity` must be a number >= 0 and <= 5'),
    ({'severity': float('nan')}, '`severity` must be a number'),
    ({'severity': [(0, 1), (9, -2)]}, '`severity` must be a number >= 0'),
    ({'severity': [(5, 1), (5, 2)]}, 'must grow'),
    ({'severity': []}, 'pairs of position'),
    ({'severity': [1, 2]}, 'pairs of position'),
    ({'severity': [(1, 2, 3)]}, 'pairs of position'),
    ({'severity': 'high'}, 'pairs of position')])
def test_settings_that_mean_nothing_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        Corrupt(**{'kind': 'fog', **settings})


@pytest.mark.parametrize('image', [
    np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8)])
def test_a_picture_that_is_no_8_bit_colour_is_refused(image):
    with pytest.raises(DataError, match=r'drive/frame_1.png.*`uint8` with 3 channels'):
        Corrupt('fog')(results(image))
    ramp = Corrupt('fog', [(0, 0), (9, 5)])
    with pytest.raises(DataError, match='needs `sample_idx`'):
        ramp({'img': np.zeros((8, 8, 3), np.uint8), 'img_path': 'a/b.png'})


@pytest.mark.mmseg
def test_a_picture_that_cannot_be_decoded_stops_one_item_and_not_the_loader(
    small_streets, tmp_path
):
    """What the loop relies on to log and skip it."""
    shutil.copytree(small_streets / 'rgb_anon/fog', tmp_path / 'rgb_anon/fog')
    shutil.copytree(small_streets / 'gt/fog', tmp_path / 'gt/fog')
    broken = sorted((tmp_path / 'rgb_anon/fog/train').glob('*/*.png'))[1]
    broken.write_bytes(b'no picture')
    loader = iter(loader_of(tmp_path, 'fog', labels=True))
    seen = []
    for _ in range(4):
        try:
            seen.append(Path(next(loader)['data_samples'][0].img_path))
        except AssertionError as error:
            seen.append(Path(str(error).split(': ')[1]))
    assert [path.name[-12:] for path in seen] == ['rgb_anon.png'] * 4
    assert seen == sorted(seen)
    assert seen[1] == broken
