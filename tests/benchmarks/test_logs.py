from __future__ import annotations

import json

import pytest
from pandas import DataFrame

from experiment_kit.logs import curve, figures, read_metrics, read_scalars
from mmkd_ext.errors import DataError


def write_log(work_dir, stamp, records, tail=''):
    folder = work_dir / stamp / 'vis_data'
    folder.mkdir(parents=True)
    lines = '\n'.join(json.dumps(record) for record in records)
    (folder / 'scalars.json').write_text(lines + '\n' + tail)


def points(scalars, key):
    values = curve(scalars, key)
    return list(values.index), list(values)


def test_of_a_resumed_run_the_later_log_counts(tmp_path):
    write_log(tmp_path, '20260101_000000', [
        {'loss': 5.0, 'step': 10}, {'loss': 4.0, 'step': 20}, {'loss': 9.0, 'step': 30},
    ])
    write_log(tmp_path, '20260101_000100', [
        {'loss': 3.0, 'step': 30}, {'mIoU': 12.0, 'step': 30},
        {'loss': 2.0, 'step': 40},
    ])
    records = read_scalars(tmp_path)
    assert points(records, 'loss') == ([10, 20, 30, 40], [5.0, 4.0, 3.0, 2.0])
    assert points(records, 'mIoU') == ([30], [12.0])


def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path):
    write_log(tmp_path, 'a', [{'loss': 1.0, 'step': 1}], tail='{"loss": 2.0, "st')
    assert points(read_scalars(tmp_path), 'loss') == ([1], [1.0])


def test_no_log_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r'tools/train\.py'):
        read_scalars(tmp_path)


def test_the_task_loss_leaves_out_what_distillation_adds():
    record = {'loss': 7.0, 'student.decode.loss_ce': 2.0, 'student.aux.loss_ce': 1.0,
              'distill.loss_cwd': 4.0, 'student.decode.acc_seg': 50.0, 'step': 1}
    assert points(DataFrame([record]), 'task_loss') == ([1], [3.0])
    assert points(DataFrame([record]), 'distill_loss') == ([1], [4.0])


def test_the_task_loss_of_a_plain_run_is_its_sum_of_losses():
    scalars = DataFrame([
        {'loss': 3.0, 'decode.loss_ce': 2.0, 'aux.loss_ce': 1.0, 'step': 1},
        {'mIoU': 3.0, 'step': 1}, {'loss': 2.5, 'step': 2}])
    assert points(scalars, 'task_loss') == ([1, 2], [3.0, 2.5])
    assert points(scalars, 'distill_loss') == ([], [])
    assert points(scalars, 'AP') == ([], [])


def test_reads_the_figures_of_the_newest_test(tmp_path):
    for stamp, value in (('20260101_000000', 1.0), ('20260102_000000', 2.0)):
        folder = tmp_path / stamp
        folder.mkdir()
        (folder / f'{stamp}.json').write_text(json.dumps({'mIoU': value}))
        (folder / 'other.json').write_text('{}')
    assert read_metrics(tmp_path) == {'mIoU': 2.0}


def test_missing_figures_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r'tools/test\.py'):
        read_metrics(tmp_path)


def test_figures_of_a_segmentation_lead_with_miou():
    found = figures({'aAcc': 90.0, 'mIoU': 50.0, 'IoU.car': 40.0, 'data_time': 0.1})
    assert found.lead == 'mIoU'
    assert found.values == {'mIoU': 50.0, 'aAcc': 90.0}
    assert found.classes == {'car': 40.0}


@pytest.mark.parametrize('prefix', ['coco/', ''])
def test_figures_of_a_detection_lead_with_ap_in_percent(prefix):
    metrics = {'RBC_precision': 0.5, 'red_cell_precision': 0.25, 'bbox_mAP': 0.375,
               'bbox_mAP_50': 0.6, 'bbox_mAP_s': -1.0}
    found = figures({prefix + name: value for name, value in metrics.items()})
    assert found.lead == 'AP'
    assert found.values == {'AP': 37.5, 'AP50': 60.0}
    assert found.classes == {'RBC': 50.0, 'red_cell': 25.0}


def test_figures_of_a_classification_lead_with_the_first_guess():
    found = figures({'accuracy/top5': 99.0, 'accuracy/top1': 83.15, 'time': 1.0})
    assert found.lead == 'top-1'
    assert found.values == {'top-1': 83.15, 'top-5': 99.0}
    assert found.classes == {}


def test_figures_of_videos_are_taken_as_they_are():
    found = figures({'video/CC': 80.5, 'video/KL': 0.25, 'data_time': 0.1})
    assert found.values == {'CC': 80.5, 'KL': 0.25}
    assert (found.lead, found.classes) == ('CC', {})


def test_figures_of_neither_are_an_error():
    with pytest.raises(DataError, match='accuracy'):
        figures({'accuracy': 1.0})
