"""Configs in mmengine's new style, whose types are classes that they import."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mmkd_ext.config.check import check_config
from mmkd_ext.engine.launch import set_default_scope
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import toy_batch

TEXT = """
from mmengine.optim import OptimWrapper
from mmrazor.models.distillers import ConfigurableDistiller
from mmrazor.models.losses import ChannelWiseDivergence
from mmrazor.models.task_modules.recorder import ModuleOutputsRecorder
from torch.optim import SGD

from mmkd_ext.algorithms import TeacherDistill
from mmkd_ext.connectors import ConvAdapter
from mmkd_ext.distillers import LinkDistiller
from mmkd_ext.distillers.schedules import LinearSchedule
from mmkd_ext.methods import CWDLoss, FitNetsLoss
from mmkd_ext.testing.toy import ToyModel

recorders = dict(logits=dict(type=ModuleOutputsRecorder, source='head.conv_seg'))
razor = dict(
    type=ConfigurableDistiller,
    student_recorders=recorders,
    teacher_recorders=recorders,
    distill_losses=dict(loss_cwd=dict(type=ChannelWiseDivergence, tau=1.0)),
    loss_forward_mappings=dict(
        loss_cwd=dict(
            preds_S=dict(from_student=True, recorder='logits'),
            preds_T=dict(from_student=False, recorder='logits'),
        )
    ),
)
links = dict(
    type=LinkDistiller,
    links=dict(
        loss_cwd=dict(
            loss=dict(type=CWDLoss),
            schedule=dict(type=LinearSchedule, end=8, start=0.5),
            preds_S=dict(of='student', at='head.conv_seg'),
            preds_T=dict(of='teacher', at='head.conv_seg'),
        ),
        loss_neck=dict(
            loss=dict(type=FitNetsLoss),
            preds_S=dict(
                of='student', at='neck', item=0,
                connector=dict(type=ConvAdapter, in_channels=4, out_channels=8),
            ),
            preds_T=dict(of='teacher', at='neck', item=0),
        ),
    ),
)
model = dict(
    type=TeacherDistill,
    architecture=dict(type=ToyModel, channels=4),
    teacher=dict(type=ToyModel, channels=8),
    distiller=%s,
)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.1))
"""


@pytest.fixture(params=['razor', 'links'])
def cfg(request, tmp_path):
    file = tmp_path / 'new_style.py'
    file.write_text(TEXT % request.param)
    return Config.fromfile(file)


def test_the_check_has_nothing_to_say(cfg):
    set_default_scope(cfg)
    assert cfg.default_scope == 'mmkd_ext'
    cfg.pop('optim_wrapper')  # there is nothing to train on
    report = check_config(cfg)
    assert [str(one) for one in report.problems] == []
    assert report.kind.endswith('TeacherDistill')
    assert not any('<class' in link.loss for link in report.links)


def test_it_is_built_and_trained(cfg):
    losses = MODELS.build(cfg.model)(**toy_batch(), mode='loss')
    assert losses['distill.loss_cwd'] > 0
