"""What people do wrong with detectors, and what batches can be like."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import cells
import distill_toys as toys
import pytest
import torch
from distill_toys import link
from torch import nn

from mmkd_ext.engine.hooks.finite import FiniteLossHook
from mmkd_ext.errors import CheckpointError, ConfigError, NonFiniteError

pytestmark = pytest.mark.mmdet


@pytest.fixture(scope='module')
def tool():
    """Small detectors; see docs/cells.py."""
    pytest.importorskip('mmdet')
    return cells.Runner('mmdet')


@pytest.fixture
def build(tool):
    """Builds a distillation of two families, with changes of the student's head."""

    def make(links, student='RetinaNet', teacher='RetinaNet', changes=None, **more):
        with tool.quiet():
            models = [
                tool.model_of(tool.families[family], role)
                for family, role in ((student, 'student'), (teacher, 'teacher'))
            ]
            models[0].bbox_head.update(changes or {})
            return toys.build(links, *models, **more)

    return make


def neck(**tap):
    return dict(loss_cwd=link('neck', student=tap, teacher=tap))


YOLOX = dict(teacher='YOLOX')
SCORES = dict(loss_cwd=link('bbox_head', student=dict(item=0), teacher=dict(item=0)))


def step(tool, model, change=lambda batch: None):
    batch = cells.detection_batch(nn.Module())
    change(batch)
    with tool.quiet():
        losses = model.train()(**batch, mode='loss')
        total, _ = model.parse_losses(losses)
        total.backward()
    return losses


@pytest.mark.parametrize(
    ('links', 'more', 'words'),
    [
        (neck(item=[0, 5]), {}, ['has no item']),
        (neck(), YOLOX, ['tuple of 5', 'tuple of 3', 'item=[0, 1, ...]']),
        (SCORES, dict(changes=dict(num_classes=4)), ['differ in classes']),
        (neck(), dict(inherit=['bbox_haed']), ['`bbox_head`']),
        (neck(), dict(YOLOX, inherit=['bbox_head']), ['nothing of `bbox_head`']),
    ],
)
def test_what_does_not_fit_is_named(build, links, more, words):
    with pytest.raises(ConfigError) as error:
        build(links, **more)
    assert all(word in str(error.value) for word in words)


def test_levels_that_both_have_can_be_chosen(build, tool):
    model = build(neck(item=[0, 1, 2]), teacher='YOLOX')
    assert step(tool, model)['distill.loss_cwd'] > 0


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


def drop_boxes(samples):
    for sample in samples:
        sample.gt_instances = sample.gt_instances[:0]


FGD = dict(loss_fgd=link('neck', data_samples=dict(of='batch', at='data_samples')))
FGD['loss_fgd']['loss'] = dict(type='mmkd_ext.FGDLoss', channels=64, levels=5)


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
