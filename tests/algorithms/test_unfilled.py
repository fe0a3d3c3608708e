"""A teacher that its file fills in part is found where a link would teach noise."""

from __future__ import annotations

import logging

import distill_toys as toys
import pytest
import torch
from distill_toys import link
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn

from mmkd_ext.checkpoint import load_weights, report_of
from mmkd_ext.config.check import check_config
from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel, toy_batch

PATH = 'model.distiller.links'


def config(links, file, **more):
    return toys.config(links, ToyModel(), ToyModel(), teacher_ckpt=file, **more)


def paths(links, file, **more):
    """Where the distillation with a file names problems once it is loaded."""
    algorithm = MODELS.build(config(links, file, **more))
    with pytest.raises(ConfigError) as error:
        algorithm.init_weights()
    return [problem.path for problem in error.value.problems], str(error.value)


@pytest.fixture
def other_classes(tmp_path):
    """The file of a teacher with other classes, so that its classifiers are left."""
    path = str(tmp_path / 'other.pth')
    torch.save({'state_dict': ToyModel(classes=9).state_dict()}, path)
    return path


@pytest.fixture
def no_stem(tmp_path):
    """The file of a backbone whose first part has other names, as ResNet's."""
    state = ToyModel().state_dict()
    path = str(tmp_path / 'stem.pth')
    kept = {k: v for k, v in state.items() if not k.startswith('backbone.stages.0')}
    torch.save({'state_dict': kept}, path)
    return path


def test_a_tapped_classifier_that_no_file_fills_is_an_error_of_training(other_classes):
    found, text = paths(link(), other_classes)
    assert found == [f'{PATH}.loss_x.preds_T.at']
    assert 'head.conv_seg.weight, head.conv_seg.bias' in text
    assert other_classes in text
    # what lies elsewhere is not this tap's
    assert 'aux_head' not in text


def test_nobody_needs_to_call_init_weights(other_classes):
    algorithm = MODELS.build(config(link(), other_classes))
    with pytest.raises(ConfigError, match='did not fill'):
        algorithm(**toy_batch(), mode='loss')


def test_features_before_the_unfilled_classifier_are_fine(other_classes):
    algorithm = MODELS.build(config(link('neck'), other_classes))
    algorithm.init_weights()
    assert algorithm(**toy_batch(), mode='loss')['distill.loss_x'] > 0
    assert not any(p.requires_grad for p in algorithm.teacher.parameters())
    assert all(p.grad is None for p in algorithm.teacher.parameters())


def test_everything_after_an_unfilled_stem_is_named(no_stem):
    links = {'loss_x': link('backbone.stages.2'), 'loss_y': link('neck')}
    found, text = paths(links, no_stem)
    assert len(found) == 2
    assert 'backbone.stages.0.conv.weight' in text


class HeadForTest(nn.Module):
    def forward(self, maps, head):
        return maps


def test_a_module_tapped_itself_is_named(other_classes):
    head = dict(of='teacher', at=dict(type='Module', source='head'))
    teacher = dict(connector=dict(type=HeadForTest), given=dict(head=head))
    found, _ = paths(link('neck', teacher=teacher), other_classes)
    assert found == [f'{PATH}.loss_x.preds_T.given.head.at']


def test_one_of_several_teachers_is_named(other_classes):
    big = dict(model=ToyModel(), ckpt=other_classes)
    _, text = paths(link(of='big'), None, teachers=dict(big=big))
    assert '`head.conv_seg` of `big`' in text


def test_what_is_left_is_logged_as_a_warning(other_classes):
    seen = []

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append((record.levelno, record.getMessage()))

    logger = MMLogger.get_instance('unfilled')
    logger.addHandler(Handler())
    model = ToyModel()
    load_weights(model, other_classes, role='teacher', logger=logger)
    (level, message) = seen[-1]
    assert level == logging.WARNING
    for key in ('head.conv_seg.weight', 'head.conv_seg.bias', 'aux_head.weight'):
        assert key in message
    assert report_of(model).unfilled
    assert report_of(ToyModel()) is None


def checked(tap, file):
    models = [dict(type=toys.TOY) for _ in range(2)]
    return toys.config(link(tap), *models, teacher_ckpt=file)


@pytest.mark.parametrize(
    ('tap', 'problems'),
    [('head.conv_seg', [f'{PATH}.loss_x.preds_T.at']), ('neck', [])],
)
def test_the_check_tells_both_the_keys_and_the_problem(other_classes, tap, problems):
    report = check_config(
        Config(dict(model=checked(tap, other_classes))), data=False
    )
    assert [problem.path for problem in report.problems] == problems
    (warning,) = [
        one for one in report.warnings if one.path == 'model.teacher_ckpt'
    ]
    assert 'head.conv_seg.weight' in warning.found
