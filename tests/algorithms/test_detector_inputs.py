"""What people do wrong with detectors, and what batches can be like."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import cells
import pytest
import torch
from torch import nn

from mmkd_ext.engine.hooks.finite import FiniteLossHook
from mmkd_ext.errors import CheckpointError, ConfigError, NonFiniteError
from mmkd_ext.registry import MODELS

pytestmark = pytest.mark.mmdet


@pytest.fixture(scope='module')
def tool():
    """Small detectors; see docs/cells.py."""
    pytest.importorskip('mmdet')
    return cells.Runner('mmdet')


@pytest.fixture
def build(tool):
    """Builds a distillation between two families, with overrides of the models."""

    def make(links, student='RetinaNet', teacher='RetinaNet', changes=None, **more):
        with tool.quiet():
            architecture = tool.model_of(tool.families[student], 'student')
            architecture.bbox_head.update(changes or {})
            return MODELS.build(
                dict(
                    type='mmkd_ext.TeacherDistill',
                    architecture=architecture,
                    teacher=tool.model_of(tool.families[teacher], 'teacher'),
                    distiller=dict(type='mmkd_ext.LinkDistiller', links=links),
                    **more,
                )
            )

    return make


def neck(**tap):
    return dict(
        loss_cwd=dict(
            loss=dict(type='mmkd_ext.CWDLoss'),
            preds_S=dict(of='student', at='neck', **tap),
            preds_T=dict(of='teacher', at='neck', **tap),
        )
    )


def scores():
    at = dict(at='bbox_head', item=0)
    return dict(
        loss_cwd=dict(
            loss=dict(type='mmkd_ext.CWDLoss'),
            preds_S=dict(of='student', **at),
            preds_T=dict(of='teacher', **at),
        )
    )


def step(tool, model, change=lambda batch: None):
    batch = cells.detection_batch(nn.Module())
    change(batch)
    with tool.quiet():
        losses = model.train()(**batch, mode='loss')
        total, _ = model.parse_losses(losses)
        total.backward()
    return losses


def test_a_neck_with_fewer_levels_than_a_link_asks(build):
    with pytest.raises(ConfigError) as error:
        build(neck(item=[0, 5]))
    text = str(error.value)
    assert 'has no item' in text
    assert '`ModuleOutputs' in text or 'neck' in text


def test_necks_of_different_lengths(build):
    with pytest.raises(ConfigError) as error:
        build(neck(), teacher='YOLOX')
    text = str(error.value)
    assert '`model.distiller.links.loss_cwd`' in text
    assert 'tuple of 5' in text
    assert 'tuple of 3' in text
    assert 'item=[0, 1, ...]' in text


def test_levels_that_both_have_can_be_chosen(build, tool):
    model = build(neck(item=[0, 1, 2]), teacher='YOLOX')
    assert step(tool, model)['distill.loss_cwd'] > 0


def test_class_counts_that_differ_cannot_be_compared_at_the_head(build):
    with pytest.raises(ConfigError) as error:
        build(scores(), changes=dict(num_classes=4))
    text = str(error.value)
    assert '`model.distiller.links.loss_cwd`' in text
    assert 'differ in classes' in text


def test_class_counts_that_differ_do_not_matter_at_the_neck(build, tool):
    model = build(neck(), changes=dict(num_classes=8))
    assert step(tool, model)['distill.loss_cwd'] > 0


def test_a_checkpoint_of_another_detector_is_refused(build, tool, tmp_path):
    other = tool.pair_of(tool.families['YOLOX']).teacher
    file = tmp_path / 'yolox.pth'
    torch.save({'state_dict': other.state_dict()}, file)
    model = build(neck(), teacher_ckpt=str(file))
    with pytest.raises(CheckpointError, match='teacher'):
        model.teachers['teacher'].load()


def test_a_typo_in_inherit_is_named(build):
    with pytest.raises(ConfigError, match='Did you mean `bbox_head`'):
        build(neck(), inherit=['bbox_haed'])


def test_a_head_of_another_kind_has_nothing_to_inherit(build):
    with pytest.raises(ConfigError, match='nothing of `bbox_head` agrees'):
        build(neck(), teacher='YOLOX', inherit=['bbox_head'])


def drop_boxes(samples):
    for sample in samples:
        sample.gt_instances = sample.gt_instances[:0]


FGD = dict(
    loss_fgd=dict(
        loss=dict(type='mmkd_ext.FGDLoss', channels=64, levels=5),
        preds_S=dict(of='student', at='neck'),
        preds_T=dict(of='teacher', at='neck'),
        data_samples=dict(of='batch', at='data_samples'),
    )
)


@pytest.mark.parametrize('which', [slice(0, 1), slice(None)], ids=['one', 'all'])
def test_images_without_boxes(build, tool, which):
    model = build({**neck(), **FGD})
    losses = step(tool, model, lambda batch: drop_boxes(batch['data_samples'][which]))
    for name in ('distill.loss_cwd', 'distill.loss_fgd'):
        assert losses[name].isfinite()
        assert losses[name] > 0


def test_images_of_different_padding_in_a_batch(build, tool):
    model = build({**neck(), **FGD})
    samples = cells.detection_batch(nn.Module())['data_samples']
    assert len({sample.img_shape for sample in samples}) == 2
    assert step(tool, model)['distill.loss_fgd'] > 0


def test_an_overflow_in_half_precision_stops_with_the_name_of_the_term(build, tool):
    """float16 ends at 65504; losses are computed in float32 and do not hide it."""
    model = build(neck())
    runner = SimpleNamespace(model=model, iter=6, logger=logging.getLogger('x'))
    hook = FiniteLossHook(action='stop')
    hook.before_train(runner)

    forward = model.student.neck.forward

    def halved(inputs):
        return tuple((1e6 * level).half().float() for level in forward(inputs))

    model.student.neck.forward = halved
    with pytest.raises(NonFiniteError, match=r'Iteration 7: .*`distill.loss_cwd` is'):
        step(tool, model)
