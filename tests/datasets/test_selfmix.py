"""Two augmentations of a picture are mixed, with their label maps."""

from __future__ import annotations

import numpy as np
import pytest
from mmcv.transforms import BaseTransform

from mmkd_ext.datasets import SelfMix
from mmkd_ext.errors import ConfigError, DataError


class Number(BaseTransform):
    """Writes into picture and labels how often it was called, as transforms may."""

    def __init__(self, sizes=((6, 8), (6, 8)), **more):
        self.calls, self.sizes, self.more = 0, sizes, more

    def transform(self, results):
        results['img'][:] += self.calls
        results['gt_seg_map'] = results['img'][..., 0]
        height, width = self.sizes[self.calls % 2]
        for key in ('img', 'gt_seg_map'):
            results[key] = results[key][:height, :width]
        self.calls += 1
        return {**results, **self.more}


def picture():
    return dict(img=np.zeros((6, 8, 3), np.uint8), seg_fields=['gt_seg_map'])


def mixtures(count, **settings):
    np.random.seed(0)
    mix = SelfMix([step := Number()], **settings)
    for _ in range(count):
        step.calls = 0
        yield mix(picture()), step.calls


def test_a_box_is_of_the_second_augmentation_in_picture_and_labels():
    shares = []
    for found, calls in mixtures(200, prob=1.0):
        of_second = found['img'] == 1
        assert calls == 2
        assert (of_second == (found['gt_seg_map'] == 1)[..., None]).all()
        rows, columns = of_second[..., 0].any(1), of_second[..., 0].any(0)
        assert (of_second[..., 0] == np.outer(rows, columns)).all()
        shares.append(of_second.mean())
    assert min(shares) < 0.02
    assert max(shares) > 0.9


def test_the_side_of_a_box_is_the_root_of_its_share_where_no_border_cuts_it():
    np.random.seed(0)
    mix = SelfMix([Number()], alpha=1e6)  # a share of one half
    boxes = [mix._box(100, 200) for _ in range(200)]
    assert all(box.start >= 0 for pair in boxes for box in pair)
    lengths = [[box.stop - box.start for box in pair] for pair in boxes]
    assert np.max(lengths, 0).tolist() == pytest.approx([70.7, 141.4], abs=1)
    assert np.min(lengths, 0).tolist() == pytest.approx([35.4, 70.7], abs=4)


def test_chance_decides_how_often_and_the_seed_decides_the_chance():
    counts = {prob: [calls for _, calls in mixtures(100, prob=prob)]
              for prob in (0.0, 0.5, 1.0)}
    assert (counts[0.0], counts[1.0]) == ([1] * 100, [2] * 100)
    assert 35 < counts[0.5].count(2) < 65
    first, again = ([found['img'] for found, _ in mixtures(20)] for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again))


def test_the_picture_that_is_given_stays_and_one_that_is_given_up_is_left_out():
    given = picture()
    SelfMix([Number(), Number()], prob=1.0)(given)
    assert not given['img'].any()
    assert SelfMix([lambda results: None], prob=1.0)(given) is None


@pytest.mark.parametrize(('step', 'words'), [
    (Number(sizes=((6, 8), (6, 7))), r"'img': \(6, 8, 3\).*one size"),
    (Number(gt_bboxes=[]), 'boxes of two crops cannot'),
    (lambda results: dict(inputs=0), r"gave \['inputs'\]. Put what packs after")])
def test_says_what_cannot_be_mixed(step, words):
    with pytest.raises(DataError, match=words):
        SelfMix([step], prob=1.0)(picture())


@pytest.mark.parametrize(('name', 'settings'), [
    ('SelfMix.transforms', dict(transforms=[])), ('prob', dict(prob=1.5)),
    ('alpha', dict(alpha=0))])
def test_refuses_settings_that_mix_nothing(name, settings):
    with pytest.raises(ConfigError, match=f'`{name}`'):
        SelfMix(**{'transforms': [Number()], **settings})
