from __future__ import annotations

from math import isnan

import pytest
from made_results import make_results, write_results

from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation.results import read_results


def cell(round_, domain, miou, images=100, **figures):
    return {'round': round_, 'domain': domain, 'mIoU': miou, 'images': images,
            **figures}


def content(cells, rounds=2, **more):
    return {
        'schema': 1,
        'settings': {'method': 'mmkd_ext.TentDistiller', 'order': ['fog', 'night'],
                     'rounds': rounds, 'seed': 0,
                     'optimizer': {'optimizer': {'type': 'SGD', 'lr': 0.01}}},
        'classes': ['road', 'car'], 'cells': cells, **more,
    }


FULL = [
    cell(1, 'fog', 60.0, 100, updates=90, skipped=10, forwards=2.0,
         images_per_second=10.0, peak_memory_mb=500, IoU={'road': 80.0, 'car': 40.0}),
    cell(1, 'night', 30.0, 300, updates=300, skipped=0, forwards=6.0,
         images_per_second=5.0, peak_memory_mb=700, IoU={'road': 30.0, 'car': None}),
    cell(2, 'fog', 62.0, 100, IoU={'road': 84.0, 'car': 40.0}),
    cell(2, 'night', 24.0, 300, IoU={'road': 24.0, 'car': None}),
]


@pytest.fixture
def read(tmp_path):
    return lambda value: read_results(write_results(tmp_path, value))


def test_summary_figures_by_hand(read):
    run = read(content(FULL, source_eval=[
        {'round': 0, 'mIoU': 75.0}, {'round': 1, 'mIoU': 74.0},
        {'round': 2, 'mIoU': 72.5}]))
    assert run.method == 'Tent'
    assert run.learning_rate == 0.01
    assert run.mean == 44.0  # (60 + 30 + 62 + 24) / 4
    assert list(run.round_means) == [45.0, 43.0]
    assert run.domain_means['night'] == 27.0
    assert run.worst == (2, 'night')
    assert run.drift == -2.0
    assert run.forgetting == -2.5
    assert run.missing == []


def test_counts_are_summed_and_figures_of_an_image_are_weighed_by_images(read):
    run = read(content(FULL))
    assert run.total('updates') == 390
    assert run.total('skipped', 1) == 10
    assert run.total('updates', 2) is None  # not measured there
    assert run.per_image('forwards') == 5.0  # (2 * 100 + 6 * 300) / 400
    # 100 images at 10/s are 10 s, 300 at 5/s are 60 s
    assert run.images_per_second() == pytest.approx(400 / 70)
    assert run.peak('peak_memory_mb') == 700


def test_a_class_that_does_not_occur_is_in_no_mean(read):
    run = read(content(FULL))
    assert run.ious.mean().to_dict() == {'road': 54.5, 'car': 40.0}
    assert isnan(run.ious.loc[(1, 'night'), 'car'])


def test_an_interrupted_run_has_missing_cells_that_are_never_zero(read):
    run = read(content(FULL[:3], rounds=3))
    assert run.missing == [(2, 'night'), (3, 'fog'), (3, 'night')]
    assert isnan(run.miou.loc[2, 'night'])
    assert isnan(run.round_means[2])
    assert run.mean == pytest.approx((60 + 30 + 62) / 3)
    assert run.worst == (1, 'night')
    assert run.drift is None  # only the first round is whole
    assert run.forgetting is None
    empty = read(content([]))
    assert empty.mean is None
    assert empty.worst is None
    assert len(empty.missing) == 4


def test_a_cell_without_a_finite_miou_is_no_value(read):
    run = read(content([cell(1, 'fog', float('nan')), cell(1, 'night', 30.0)], 1))
    assert isnan(run.miou.loc[1, 'fog'])
    assert run.mean == 30.0
    assert isnan(run.round_means[1])
    assert run.missing == []


def test_a_work_directory_stands_for_its_result_file(tmp_path):
    write_results(tmp_path, make_results())
    assert read_results(tmp_path).method == 'DoSe'


@pytest.mark.parametrize(
    ('change', 'word'),
    [
        ({'schema': 2}, 'schema 2'),
        ({'schema': None, 'settings': {}}, 'schema None'),
        ({'settings': None}, 'damaged'),
        ({'settings': {'rounds': 'x'}}, 'damaged'),
        ({'cells': {'a': 1}}, 'damaged'),
        ({'cells': [3]}, 'damaged'),
        ({'cells': [{'round': 1}]}, 'domain'),
        ({'cells': [cell(0, 'fog', 1.0)]}, 'below 1'),
        ({'cells': [cell(1, 'fog', 160.0)]}, 'percentage'),
        ({'cells': [cell(1, 'fog', 1.0)] * 2}, 'twice'),
        ({'prototypes': {'names': ['a', 'b'], 'distances': [[0]]}}, 'damaged'),
        ({'prototypes': {'names': ['a'], 'distances': [['x']]}}, 'damaged'),
        ({'events': [3]}, 'damaged'),
    ],
)
def test_damage_is_an_error(read, change, word):
    with pytest.raises(DataError, match=word):
        read({**content([]), **change})


@pytest.mark.parametrize(
    ('file', 'word'),
    [
        (None, 'No such file'),
        (b'{"schema": 1, "set', 'not JSON'),
        (b'\xff\xfe\x00', 'not JSON'),
        (b'{"mIoU": 3}', 'schema None'),
    ],
)
def test_what_is_no_result_file_is_an_error(tmp_path, file, word):
    path = tmp_path / 'results.json'
    if file is not None:
        path.write_bytes(file)
    with pytest.raises(DataError, match=word):
        read_results(path)
