"""A batch that leaves out a module which a link taps: a logged zero, not the end."""

from __future__ import annotations

import logging

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn

from mmkd_ext.errors import TapError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel, toy_batch

ADAPTER = dict(type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=8)


class Fickle(ToyModel):
    """A model that calls its loss on what it finds, as a two-stage detector does."""

    finds = True

    def __init__(self, **more):
        super().__init__(**more)
        self.found = nn.Identity()

    def _logits(self, maps):
        if self.finds:
            self.found(maps[0])
        return super()._logits(maps)


@pytest.fixture
def said():
    """What the current logger is told."""
    records = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: records.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


@pytest.fixture
def algorithm():
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=Fickle(),
            teacher=Fickle(),
            distiller=dict(
                type='mmkd_ext.LinkDistiller',
                links={
                    'loss_found': dict(
                        loss=dict(type='mmkd_ext.FitNetsLoss'),
                        preds_S=dict(of='student', at='found', connector=ADAPTER),
                        preds_T=dict(of='teacher', at='found'),
                    ),
                    'loss_other': dict(
                        loss=dict(type='mmkd_ext.FitNetsLoss'),
                        preds_S=dict(of='student', at='head.conv_seg'),
                        preds_T=dict(of='teacher', at='head.conv_seg'),
                    ),
                },
            ),
        )
    ).train()


def test_is_zero_reaches_every_parameter_and_leaves_other_links_alone(algorithm, said):
    usual = algorithm(**toy_batch(), mode='loss')
    assert usual['distill.loss_found'] > 0
    algorithm.student.finds = False
    losses = algorithm(**toy_batch(), mode='loss')
    assert losses['distill.loss_found'] == 0
    torch.testing.assert_close(
        losses['distill.loss_other'], usual['distill.loss_other']
    )
    # DDP waits for a gradient of each parameter of the link
    losses['distill.loss_found'].backward()
    adapter = algorithm.distiller.connectors['loss_found_preds_S']
    assert all(p.grad is not None and not p.grad.any() for p in adapter.parameters())
    assert len(said) == 1
    assert '`model.distiller.links.loss_found` is 0 in this step (1 so far)' in said[0]
    assert '`found` of `student` was not called' in said[0]
    algorithm.student.finds = True
    assert algorithm(**toy_batch(), mode='loss')['distill.loss_found'] > 0


def test_is_said_ever_more_rarely(algorithm, said):
    algorithm(**toy_batch(), mode='loss')
    algorithm.student.finds = False
    for _ in range(100):
        algorithm(**toy_batch(), mode='loss')
    assert [one.split('(')[1].split(' ')[0] for one in said] == ['1', '10', '100']


def test_a_module_that_was_never_called_in_training_stays_an_error(algorithm, said):
    algorithm.student.finds = False
    with pytest.raises(TapError, match='`found` of `student` was not called'):
        algorithm(**toy_batch(), mode='loss')
    assert not said
