"""What a stream yields, counted."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmkd_ext.adaptation.batch import StepResult
from mmkd_ext.evaluation.adaptation.record import (
    POINTS,
    WINDOW,
    StreamRecord,
    areas,
    iou_metrics,
    picture,
)

NAMES = ('road', 'car', 'sky')


def by_loops(prediction, truth, classes):
    found = [[0] * classes for _ in range(3)]
    for p, t in zip(prediction.flatten().tolist(), truth.flatten().tolist()):
        if t == 255:
            continue
        found[1][p] += 1
        if t < classes:
            found[2][t] += 1
            found[0][t] += p == t
    return found


@given(seed=st.integers(0, 200))
def test_areas_by_plain_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randint(0, 3, (4, 5), generator=generator)
    # classes, one beyond them, and pixels without one
    truth = torch.tensor([0, 1, 2, 7, 255])[
        torch.randint(0, 5, (4, 5), generator=generator)
    ]
    assert areas(prediction, truth, 3).tolist() == by_loops(prediction, truth, 3)


def test_iou_by_hand():
    prediction = torch.tensor([[0, 0, 1, 1]])
    truth = torch.tensor([[0, 1, 1, 255]])
    found = iou_metrics(areas(prediction, truth, 3), NAMES)
    # road: 1 of 2, car: 1 of 2; sky occurs nowhere
    assert found['IoU'] == {'road': 50.0, 'car': 50.0, 'sky': None}
    assert found['mIoU'] == 50.0
    assert found['mAcc'] == 75.0
    assert found['aAcc'] == pytest.approx(66.6667)


def test_without_a_truth_there_are_no_iou_metrics():
    found = iou_metrics(areas(torch.zeros(2, 2).long(), None, 3), NAMES)
    assert found['mIoU'] is None
    assert set(found['IoU'].values()) == {None}


def sample(labels):
    data = torch.as_tensor(labels)[None]
    return SimpleNamespace(pred_sem_seg=SimpleNamespace(data=data))


def result(**counts):
    return StepResult([], {'loss_ce': 2.0}, counts, seconds=0.5)


def test_a_cell_sums_up_its_images():
    record = StreamRecord(NAMES, 4, {})
    record.begin(1, 'fog')
    truth = torch.tensor([[0, 1]])
    record.add([sample([[0, 1]])], [truth], result(updates=1, forwards=2.0), 0, 0)
    record.add([sample([[1, 1]])], [truth], result(skipped=1, forwards=1.0), 1, 1)
    record.add_event(2, 2, 'undecodable', 'torn', count='undecodable')
    row = record.end()
    assert (row['images'], row['updates'], row['skipped']) == (2, 1, 1)
    assert row['undecodable'] == 1
    assert row['forwards'] == 1.5
    assert row['predicted_classes'] == 1.5
    assert row['images_per_second'] == 2.0
    assert row['loss'] == {'loss_ce': 2.0}
    # right 1 of road and 2 of car; predicted 1 and 3; true 2 and 2
    assert row['IoU'] == {'road': 50.0, 'car': pytest.approx(66.6667), 'sky': None}
    assert record.summary()['fog/mIoU'] == row['mIoU']
    json.dumps(record.results(), allow_nan=False)


def test_the_running_figure_looks_at_the_last_images_only():
    record = StreamRecord(NAMES, 100, {})
    record.begin(1, 'fog')
    truth = torch.tensor([[0]])
    record.add([sample([[1]])], [truth], result(), 0, 0)
    assert record.running_miou() == 0.0
    for step in range(1, WINDOW + 1):
        record.add([sample([[0]])], [truth], result(), step, step)
    assert record.running_miou() == 100.0


def test_the_same_event_image_after_image_is_one_with_a_count():
    record = StreamRecord(NAMES, 10, {})
    record.begin(1, 'fog')
    for step in (3, 4, 5, 7):
        record.add_event(step, step, 'skip', 'updates rest', {'pause': 10 - step})
    record.add_event(8, 8, 'reset', 'updates rest')
    found = [(e['step'], e['action'], e['times']) for e in record.events]
    assert found == [(3, 'skip', 3), (7, 'skip', 1), (8, 'reset', 1)]
    assert record.events[0]['signals'] == {'pause': 7}
    record.cell.domain = 'night'
    record.add_event(9, 0, 'reset', 'updates rest')
    assert len(record.events) == 4


def test_the_timeline_is_thinned():
    record = StreamRecord(NAMES, 3 * POINTS, {})
    record.begin(1, 'fog')
    for step in range(10):
        record.add([sample([[0]])], [None], result(), step, step)
    assert [point['step'] for point in record.timeline] == [0, 3, 6, 9]


def test_it_goes_on_from_its_state(tmp_path):
    ours = StreamRecord(NAMES, 10, {})
    ours.begin(1, 'fog')
    truth = torch.tensor([[0, 1]])
    ours.add([sample([[0, 1]])], [truth], result(updates=1), 0, 0)
    torch.save(ours.state(), tmp_path / 'state.pth')
    theirs = StreamRecord(NAMES, 10, {})
    theirs.load_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    for record in (ours, theirs):
        record.add([sample([[1, 1]])], [truth], result(updates=1), 1, 1)
        record.end()
    assert ours.results() == theirs.results()


def test_a_picture_of_classes_has_their_colours():
    address = picture(
        np.array([[0, 1], [2, 255]]), [[255, 0, 0], [0, 255, 0], [9, 8, 7]]
    )
    content = base64.b64decode(address.split(',')[1])
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image[..., ::-1].tolist() == [
        [[255, 0, 0], [0, 255, 0]], [[9, 8, 7], [0, 0, 0]],
    ]  # fmt: skip
