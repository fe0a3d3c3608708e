"""The toy streets: the same bytes, whole folders, labels that agree, a solid world."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmkd_ext.errors import ConfigError, DataError
from projects.toy_streets import (
    CONDITIONS,
    StreetSettings,
    draw,
    generate,
    make_streets,
    render,
    weather,
    world,
)
from projects.toy_streets.draw import BUILDING, CAR, ROAD, SIDEWALK, SKY

ROOT = Path(__file__).parents[2]
SMALL = StreetSettings(  # of the fixture `small_streets`
    seed=3, height=64, train=5, val=2, drives=1, val_drives=1, frames=4)
TINY = StreetSettings(
    seed=3, height=32, train=2, val=1, drives=1, val_drives=0, frames=2)
# from the label table of cityscapesScripts: the ids of trainIds 0 to 18
OFFICIAL = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)


def digest(root):
    """SHA-256 over the names and bytes of all files."""
    total = hashlib.sha256()
    for path in sorted(p for p in root.rglob('*') if p.is_file()):
        total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def views(condition, frames, number=0, height=64):
    job = generate.Job(condition, 'train', number, frames)
    street = world.build(
        generate.generator(TINY, job), scale=height / 128, frames=frames)
    return street, [render.render(street, t, height) for t in range(frames)]


def test_the_same_bytes_from_two_processes_that_find_the_folder_done_after(
    small_streets, tmp_path
):
    again = make_streets(tmp_path / 'again', SMALL, workers=2)
    assert again.drawn
    assert digest(again.root) == digest(small_streets)
    assert not make_streets(again.root, SMALL).drawn


def test_a_street_does_not_change_when_more_streets_are_drawn(small_streets, tmp_path):
    settings = replace(SMALL, train=2, val=0, drives=0, val_drives=0)
    few = make_streets(tmp_path / 'few', settings, workers=1).root
    names = [p.relative_to(few) for p in few.rglob('*.png')]
    assert len(names) == 6
    for name in names:
        assert (few / name).read_bytes() == (small_streets / name).read_bytes(), name


def test_all_pictures_of_a_folder_differ(small_streets):
    pictures = [
        *small_streets.rglob('*_leftImg8bit.png'),
        *small_streets.rglob('*_rgb_anon.png')]
    assert len(pictures) == SMALL.images == 7 + 4 * 2 * 4
    assert len({p.read_bytes() for p in pictures}) == len(pictures)


def test_other_settings_are_refused_and_named_unless_forced(tmp_path):
    root = make_streets(tmp_path / 's', TINY, workers=1).root
    before = digest(root)
    other = replace(TINY, seed=9)
    with pytest.raises(DataError, match=r'seed=3 there, 9 wanted.*--force'):
        make_streets(root, other, workers=1)
    assert make_streets(root, other, workers=1, force=True).drawn
    assert digest(root) != before
    assert json.loads((root / 'streets.json').read_text())['settings']['seed'] == 9
    assert [p.name for p in tmp_path.iterdir()] == ['s']


def test_a_folder_that_holds_no_streets_is_never_replaced(tmp_path):
    (tmp_path / 'precious.txt').write_text('mine')
    with pytest.raises(DataError):
        make_streets(tmp_path, TINY, force=True)
    assert (tmp_path / 'precious.txt').read_text() == 'mine'


def test_an_interrupted_run_leaves_nothing_behind(tmp_path, monkeypatch):
    def stop(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(render, 'render', stop)
    with pytest.raises(KeyboardInterrupt):
        make_streets(tmp_path / 's', TINY, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('name', 'value'),
    [('height', 8), ('train', -1), ('frames', 0), ('seed', 'x')])
def test_settings_that_cannot_be_drawn_are_refused(name, value):
    with pytest.raises(ConfigError, match=f'`{name}`'):
        StreetSettings(**{name: value})


def run(*arguments):
    """Runs Python where nothing is installed but what the checkout brings."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True,
                          check=False)


def test_the_command_draws_and_reports_errors_with_status_2(tmp_path):
    command = [
        str(ROOT / 'projects' / 'toy_streets' / 'make.py'), '--quiet',
        *f'--out {tmp_path}/s --height 32 --train 1 --val 0 --drives 0'.split(),
        *['--val-drives', '0']]
    assert run(*command).stdout.startswith('1 pictures in')
    assert 'up to date' in run(*command).stdout
    done = run(*command, '--seed', '5')
    assert done.returncode == 2
    assert 'seed=0 there, 5 wanted' in done.stderr


def test_drawing_needs_neither_mmseg_nor_torch():
    code = (
        f'import sys; sys.path.insert(0, {str(ROOT)!r}); import projects.toy_streets; '
        "print({'torch', 'mmengine', 'mmcv', 'mmseg'} & set(sys.modules))")
    assert run('-c', code).stdout.strip() == 'set()'


def test_the_old_names_say_where_the_streets_are_now():
    with pytest.raises(ImportError, match=r'projects\.toy_streets'):
        from mmkd_ext.datasets.streets import make_streets as _
    with pytest.raises(ImportError, match=r'projects\.toy_streets'):
        from mmkd_ext.datasets import StreetSettings as _  # noqa: F401
    done = run(str(ROOT / 'tools' / 'make_streets.py'), '--seed', '0')
    assert done.returncode
    assert 'projects/toy_streets/make.py' in done.stderr


def test_train_ids_follow_the_official_table(small_streets):
    maps = [
        *small_streets.rglob('*_gtFine_labelIds.png'),
        *small_streets.rglob('*_gt_labelIds.png')]
    assert len(maps) == SMALL.images
    table = {label: number for number, label in enumerate(OFFICIAL)}
    for path in maps:
        ids = read(path)
        train = read(path.with_name(path.name.replace('labelIds', 'labelTrainIds')))
        expected = np.vectorize(lambda i: table.get(i, 255))(ids)
        np.testing.assert_array_equal(train, expected)
        assert ids.shape == (64, 128)


def test_all_19_classes_occur_within_16_streets():
    seen = set()
    for number in range(16):
        _, (view,) = views('clear', 1, number)
        seen |= set(np.unique(view.label).tolist())
    assert seen >= set(OFFICIAL)


def decode(counts, height, width):
    flat, value = [], 0
    for run in counts:
        flat += [value] * run
        value = 1 - value
    return np.array(flat, bool).reshape(width, height).T


def test_boxes_and_areas_are_those_of_the_masks_and_masks_those_of_the_labels(
    small_streets,
):
    number = 0
    for split in ('train', 'val'):
        coco = json.loads(
            (small_streets / f'annotations/instances_{split}.json').read_text())
        assert len({a['id'] for a in coco['annotations']}) == len(coco['annotations'])
        for image in coco['images']:
            name = image['file_name'].replace('leftImg8bit', 'gtFine_labelIds')
            labels = read(small_streets / 'gtFine' / split / name)
            assert (image['height'], image['width']) == labels.shape
            taken = np.zeros(labels.shape, int)
            for entry in coco['annotations']:
                if entry['image_id'] != image['id']:
                    continue
                mask = decode(entry['segmentation']['counts'], *labels.shape)
                ys, xs = mask.nonzero()
                x, y, w, h = entry['bbox']
                assert (x, y) == (xs.min(), ys.min())
                assert (x + w - 1, y + h - 1) == (xs.max(), ys.max())
                assert entry['area'] == mask.sum()
                assert set(labels[mask].tolist()) == {entry['category_id']}
                taken += mask
                number += 1
            assert taken.max() <= 1
            # nothing but glimpses of a few pixels is left out
            left = (labels >= 24) & (taken == 0)
            assert left.sum() <= 0.03 * (labels >= 24).sum() + 4
            sizes = cv2.connectedComponentsWithStats(left.astype(np.uint8))[2][1:, 4]
            assert (sizes < 10).all()
    assert number > 30


@pytest.mark.parametrize('order', [(0, 1), (1, 0)])
def test_a_near_panel_hides_a_far_one_whichever_is_drawn_first(order):
    street, _ = views('clear', 0)
    camera = render.Camera(street, 0, 64)
    canvas = render.Canvas(camera)
    panels = []
    for ahead, size, label in ((20.0, 8.0, BUILDING), (10.0, 1.0, CAR)):
        pixels = np.full((8, 8, 6), label, np.uint8)
        left, right = (
            tuple(map(float, camera.world(side * size, ahead))) for side in (-1, 1))
        panels.append(world.Panel(left, right, 0.0, size, draw.sprite(pixels)))
    for index in order:
        canvas.panel(panels[index])
    near, far = canvas.paint[..., 3] == CAR, canvas.paint[..., 3] == BUILDING
    # by hand: width and height of a panel are focal * metres / distance
    assert near.any(0).sum() == pytest.approx(camera.focal * 2 / 10, abs=1)
    assert near.any(1).sum() == pytest.approx(camera.focal * 1 / 10, abs=2)
    assert far.any(0).sum() == pytest.approx(camera.focal * 16 / 20, abs=1)
    np.testing.assert_allclose(canvas.depth[near], 10, atol=1e-3)
    np.testing.assert_allclose(canvas.depth[far], 20, atol=1e-3)


def test_every_pixel_lies_where_its_label_says():
    cars = 0
    for number in range(6):
        street, (view,) = views('clear', 1, number)
        ground = np.isin(view.label, (ROAD, SIDEWALK)) & (view.depth < 200)
        assert np.abs(view.y[ground]).max() < 1e-2
        assert (view.depth[view.label == SKY] >= 1e6).all()
        assert (view.depth[view.label != SKY] < 1e6).all()
        for thing in street.things:
            mask = (view.instance == thing.instance) & (view.depth < 60)
            if mask.any() and thing.label == CAR:
                d, z = thing.at(0)
                assert np.abs(view.z[mask] - z).max() < thing.size[0] / 2 + 1.0
                assert np.abs(view.x[mask] - d).max() < thing.size[1] / 2 + 1.5
                assert view.y[mask].max() < thing.size[2] + 0.2
                cars += 1
    assert cars > 6


def test_frames_change_more_the_further_they_are_apart(small_streets):
    for condition in CONDITIONS:
        maps = [
            read(p)
            for p in sorted(
                (small_streets / 'gt' / condition / 'train').rglob('*_labelIds.png'))]
        assert len(maps) == 4
        same = [float((maps[0] == other).mean()) for other in maps]
        assert same[0] == 1 > same[1] > same[3] > 0.5, condition


def test_weather_changes_the_picture_and_not_the_street():
    street, (view,) = views('clear', 1, 2)
    label = view.label.copy()
    pictures = {
        name: weather.record(view, street, name, np.random.default_rng(0))
        for name in weather.WEATHERS}
    np.testing.assert_array_equal(view.label, label)
    mean = {k: v.mean() for k, v in pictures.items()}
    assert mean['night'] < 0.6 * mean['clear']
    assert mean['snow'] > mean['rain']
    far = (view.depth > 40) & (view.label != 23)
    assert pictures['fog'][far].std() < 0.7 * pictures['clear'][far].std()
    ground = np.isin(view.label, (8, 22))
    assert pictures['snow'][ground].mean() > pictures['clear'][ground].mean()
