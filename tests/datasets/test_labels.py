"""A few pictures keep their labels, the same ones in each run."""

from __future__ import annotations

import numpy as np
import pytest

from mmkd_ext.datasets import IgnoreLabels
from mmkd_ext.errors import ConfigError


def picture(index):
    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    return dict(
        sample_idx=index, img=labels, gt_seg_map=labels, seg_fields=['gt_seg_map']
    )


def test_labels_that_are_not_kept_are_ignored_in_a_copy():
    transform = IgnoreLabels(keep=1, of=3)
    given = picture(4)
    found = transform(given)
    assert (found['gt_seg_map'] == 255).all()
    assert found['gt_seg_map'].dtype == np.uint8
    assert (given['gt_seg_map'] != 255).all()
    assert found['img'] is given['img']
    kept = transform(picture(3))
    assert (kept['gt_seg_map'] == given['gt_seg_map']).all()


@pytest.mark.parametrize(('keep', 'of'), [(0, 1), (1, 10), (3, 10), (2, 7), (5, 5)])
def test_the_share_is_kept_and_evenly_spread(keep, of):
    transform = IgnoreLabels(keep, of)
    kept = [transform.keeps(i) for i in range(3 * of)]
    # no stretch of the drive has one more or one less than its share
    for start in range(2 * of):
        assert sum(kept[start : start + of]) == keep


@pytest.mark.parametrize('wrong', [(-1, 10), (11, 10), (0, 0), (0.1, 1)])
def test_a_share_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match=r'`(keep|of)`'):
        IgnoreLabels(*wrong)
