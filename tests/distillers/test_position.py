"""Whose word on the training position is taken: that of a Runner at work alone."""

from __future__ import annotations

import copy

import pytest
from mmengine.logging import MessageHub

from mmkd_ext.distillers.schedules import RunnerPosition
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel, toy_batch


def hub(name, **info):
    found = MessageHub.get_instance(name)
    for key, value in info.items():
        found.update_info(key, value)
    return found


def test_without_a_runner_nobody_says():
    assert RunnerPosition().read() is None


def test_a_runner_says_as_long_as_it_moves():
    position = RunnerPosition()
    hub('run', iter=0, epoch=0)
    assert position.read() == (0, 0)
    hub('run', iter=1)
    assert position.read() == (1, 0)
    hub('run', epoch=1)
    assert position.read() == (1, 1)
    assert position.read() is None


def test_what_an_earlier_runner_left_is_not_believed():
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


def test_the_next_training_of_the_same_model_is_believed():
    hub('first')
    position = RunnerPosition()
    hub('first', iter=99)
    assert position.read() == (99, 0)
    hub('second', iter=0)
    assert position.read() == (0, 0)


def test_a_copy_goes_on_by_itself():
    position = RunnerPosition()
    hub('run', iter=3)
    again = copy.deepcopy(position)
    assert position.read() == again.read() == (3, 0)


def test_a_schedule_goes_on_in_a_loop_by_hand_after_an_earlier_runner():
    hub('earlier', iter=50, epoch=2)
    side = dict(at='head.conv_seg')
    link = dict(
        loss=dict(type='mmkd_ext.CWDLoss'),
        preds_S=dict(of='student', **side),
        preds_T=dict(of='teacher', **side),
        schedule=dict(type='linear', end=4, start=1.0, stop=0.0),
    )
    algorithm = MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=ToyModel(channels=4),
            teacher=ToyModel(channels=8),
            distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_a=link)),
        )
    ).eval()
    batch = toy_batch()
    values = [float(algorithm(**batch, mode='loss')['distill.loss_a'])
              for _ in range(5)]
    assert values == pytest.approx([values[0] * f for f in (1, 0.75, 0.5, 0.25, 0)])
    assert values[0] > 0
