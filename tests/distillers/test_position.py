"""A training position counts only if a Runner that is at work says it."""

from __future__ import annotations

import copy

import pytest
from distill_toys import build, link, losses_of
from mmengine.logging import MessageHub

from mmkd_ext.distillers.schedules import RunnerPosition


def hub(name, **info):
    for key, value in info.items():
        MessageHub.get_instance(name).update_info(key, value)
    return MessageHub.get_instance(name)


def test_a_runner_counts_as_long_as_it_moves():
    position = RunnerPosition()
    assert position.read() is None
    hub('run', iter=0, epoch=0)
    assert position.read() == (0, 0)
    hub('run', iter=1)
    assert position.read() == (1, 0)
    hub('run', epoch=1)
    again = copy.deepcopy(position)
    assert position.read() == again.read() == (1, 1)
    assert position.read() is None


def test_what_an_earlier_runner_left_does_not_count():
    hub('earlier', iter=99, epoch=3)
    position = RunnerPosition()
    assert position.read() is None
    hub('later', iter=7)
    assert position.read() == (7, 0)


def test_a_runner_that_was_made_later_does_not_speak_for_this_one():
    hub('ours')
    position = RunnerPosition()
    hub('theirs')
    hub('ours', iter=4)
    assert position.read() == (4, 0)


def test_the_next_training_of_the_same_model_counts():
    hub('first')
    position = RunnerPosition()
    hub('first', iter=99)
    assert position.read() == (99, 0)
    hub('second', iter=0)
    assert position.read() == (0, 0)


def test_a_schedule_goes_on_in_a_loop_by_hand_after_an_earlier_runner():
    hub('earlier', iter=50, epoch=2)
    schedule = dict(type='linear', end=4, start=1.0, stop=0.0)
    algorithm = build(link(schedule=schedule)).eval()
    values = [float(losses_of(algorithm)['loss_x']) for _ in range(5)]
    assert values == pytest.approx([values[0] * f for f in (1, 0.75, 0.5, 0.25, 0)])
    assert values[0] > 0
