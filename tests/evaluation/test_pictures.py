from __future__ import annotations

import io

import numpy as np
import pytest

from mmkd_ext.errors import ShapeError
from mmkd_ext.evaluation.pictures import (
    BROKEN,
    MENDED,
    bar_figure,
    colourise,
    compare,
    curves_figure,
    mended_map,
    png,
)

TRUTH = np.array([[0, 0, 1, 255]], np.uint8)
BEFORE = np.array([[0, 1, 0, 0]], np.uint8)
AFTER = np.array([[1, 0, 0, 1]], np.uint8)


def test_mended_and_broken_pixels_are_told_apart_and_ignored_ones_left_out():
    change = compare(BEFORE, AFTER, TRUTH)
    assert change.broken.tolist() == [[True, False, False, False]]
    assert change.mended.tolist() == [[False, True, False, False]]
    assert change.shares == pytest.approx((100 / 3, 100 / 3))


def test_swapping_the_predictions_swaps_mended_and_broken():
    one, other = compare(BEFORE, AFTER, TRUTH), compare(AFTER, BEFORE, TRUTH)
    assert (one.mended == other.broken).all()
    assert (one.broken == other.mended).all()


def test_no_truth_at_all_gives_no_share():
    nothing = np.full((1, 4), 255, np.uint8)
    assert compare(BEFORE, AFTER, nothing).shares == (0.0, 0.0)


def test_maps_of_different_sizes_are_refused_with_all_three():
    with pytest.raises(ShapeError, match=r'\(1, 4\).*\(2, 4\)'):
        compare(BEFORE, np.zeros((2, 4), np.uint8), TRUTH)


def test_the_map_is_green_where_mended_and_red_where_broken():
    image = np.full((1, 4, 3), 100, np.uint8)
    picture = mended_map(image, compare(BEFORE, AFTER, TRUTH))
    assert tuple(picture[0, 1]) == MENDED
    assert tuple(picture[0, 0]) == BROKEN
    assert len(set(picture[0, 2].tolist())) == 1


def test_classes_get_their_colours_and_ignored_pixels_are_black():
    picture = colourise(TRUTH, [(1, 2, 3), (4, 5, 6)])
    assert picture[0].tolist() == [[1, 2, 3], [1, 2, 3], [4, 5, 6], [0, 0, 0]]


def test_a_png_file_keeps_every_pixel():
    image = pytest.importorskip('PIL.Image')
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert (np.asarray(image.open(io.BytesIO(png(picture)))) == picture).all()


def test_figures_are_png_files_and_survive_missing_values():
    pytest.importorskip('matplotlib')
    colours = {'a': '#000000'}
    chart = curves_figure({'loss': {'a': ([1, 2], [2.0, 1.0])}, 'none': {}}, colours)
    bars = bar_figure(['x', 'y'], {'a': [1.0, None]}, colours, label='IoU')
    assert chart.startswith(b'\x89PNG')
    assert bars.startswith(b'\x89PNG')
