from __future__ import annotations

import pytest
import torch

pytest.importorskip('mmseg')
pytestmark = pytest.mark.mmseg


@pytest.fixture
def metric():
    from mmkd_ext.registry import METRICS

    metric = METRICS.build(dict(type='mmkd_ext.ClassIoUMetric'))
    metric.dataset_meta = {'classes': ('road', 'car', 'train')}
    return metric


def sample(guess, truth):
    return {'pred_sem_seg': {'data': torch.tensor([guess])},
            'gt_sem_seg': {'data': torch.tensor([truth])}}


def test_each_class_over_all_pictures_as_counted_by_hand(metric):
    # road: both 3, either 4; car: both 2, either 3 (255 is no truth)
    metric.process({}, [sample([[0, 0, 1, 1]], [[0, 0, 0, 1]])])
    metric.process({}, [sample([[0, 1, 1, 0]], [[0, 255, 1, 255]])])
    found = metric.evaluate(size=2)
    assert found['IoU.road'] == pytest.approx(75.0, abs=0.01)
    assert found['IoU.car'] == pytest.approx(66.67, abs=0.01)


def test_a_class_that_occurs_nowhere_is_left_out_and_the_mean_agrees(metric):
    metric.process({}, [sample([[0, 0, 1, 1]], [[0, 0, 0, 1]])])
    found = metric.evaluate(size=1)
    assert 'IoU.train' not in found
    classes = [found['IoU.road'], found['IoU.car']]
    assert found['mIoU'] == pytest.approx(sum(classes) / 2, abs=0.01)


def test_a_class_that_is_only_guessed_counts_as_zero(metric):
    metric.process({}, [sample([[2, 0, 1, 1]], [[0, 0, 0, 1]])])
    assert metric.evaluate(size=1)['IoU.train'] == 0.0
