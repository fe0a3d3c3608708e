"""Digits as a data set."""

from __future__ import annotations

import numpy as np
import pytest

from mmkd_ext.datasets import DigitsDataset
from mmkd_ext.errors import ConfigError

digits = pytest.importorskip('sklearn.datasets').load_digits()


def test_the_parts_are_all_of_it_in_order():
    labels = [
        data.get_data_info(i)['gt_label']
        for data in (DigitsDataset('train'), DigitsDataset('test'))
        for i in range(len(data))
    ]
    assert labels == digits.target.tolist()


def test_pixels_are_brought_to_255_and_repeated():
    small, large = DigitsDataset()[5]['img'], DigitsDataset(enlarge=4)[5]['img']
    assert small.dtype == np.uint8
    assert small[..., 0].max() == 255
    assert np.abs(small[..., 1] - digits.images[5] * 255 / 16).max() < 1
    assert large.shape == (32, 32, 3)
    assert np.array_equal(large[::4, 3::4], small)


def test_an_unknown_part_is_refused():
    with pytest.raises(ConfigError, match="'val'"):
        DigitsDataset('val')
