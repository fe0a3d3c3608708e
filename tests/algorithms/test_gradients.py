"""A link that gives the student no gradient is told before training."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmkd_ext.config import measure
from mmkd_ext.config.check import check_config
from mmkd_ext.errors import ConfigError, TapError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel, toy_batch

PATH = 'model.distiller.links.loss_x'


@pytest.fixture(autouse=True)
def _no_runner():
    MessageHub.get_current_instance().runtime_info.clear()


class Block(nn.Module):
    """A part whose activations are checkpointed, as with `with_cp=True`."""

    def __init__(self, part):
        super().__init__()
        self.inside = part

    def forward(self, x):
        # mmcv's blocks say nothing either, which is the reentrant way
        return checkpoint(self.inside, x, use_reentrant=True)


class Detach(nn.Module):
    def forward(self, x):
        return x.detach()


class WithoutGrad(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.inside = part

    @torch.no_grad()
    def forward(self, x):
        return self.inside(x)


def link(at, student=None, loss='FitNetsLoss', **more):
    return dict(
        loss=dict(type=f'mmkd_ext.{loss}'),
        preds_S=dict(of='student', at=student or at, **more),
        preds_T=dict(of='teacher', at=at),
    )


def build(links, change=lambda model: None, **more):
    student = ToyModel()
    change(student)
    return MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=student,
            teacher=ToyModel(),
            distiller=dict(type='mmkd_ext.LinkDistiller', links=links),
            **more,
        )
    )


def refused(*args, **more):
    with pytest.raises(ConfigError) as error:
        build(*args, **more)
    return str(error.value)


def checkpointed(model):
    model.backbone.stages[1] = Block(model.backbone.stages[1])


def test_a_tap_inside_a_checkpointed_part_is_told_with_the_block_to_tap():
    links = {'loss_x': link('backbone.stages.1.conv', 'backbone.stages.1.inside.conv')}
    text = refused(links, checkpointed)
    assert text.startswith(f'`{PATH}.preds_S.at`')
    assert 'is inside a checkpointed part, gives no gradient' in text
    assert "Tap the block, 'backbone.stages.1'" in text


def test_a_checkpointed_block_itself_gives_a_gradient():
    algorithm = build({'loss_x': link('backbone.stages.1')}, checkpointed).train()
    algorithm(**toy_batch(), mode='loss')['distill.loss_x'].backward()
    assert algorithm.student.backbone.stages[1].inside.conv.weight.grad.abs().sum() > 0


def test_terms_of_a_checkpointed_student_are_measured_like_those_of_a_plain_one():
    """Without batch statistics, which the second pass of a checkpoint moves."""
    links = {'loss_x': link('backbone.stages.1'), 'loss_y': link('head.conv_seg')}
    torch.manual_seed(0)
    plain = build(links, module_inplace=False)
    twin = build(links, checkpointed, module_inplace=False)
    state = dict(zip(twin.state_dict(), plain.state_dict().values()))
    twin.load_state_dict(state)
    twin.teacher.load_state_dict(plain.teacher.state_dict())
    measured = []
    for algorithm in (plain, twin):
        torch.manual_seed(1)
        with measure.measuring(algorithm, gradients=True) as found:
            measure.step_on_noise(algorithm, None, predict=False)
        measured.append({term.name: term.gradient for term in found.terms})
    assert measured[0]['distill.loss_x'] > 0
    assert measured[1] == pytest.approx(measured[0], rel=1e-5)


def test_a_frozen_part_is_told():
    def freeze(model):
        model.backbone.requires_grad_(False)

    text = refused({'loss_x': link('backbone.stages.1')}, freeze)
    assert text.startswith(f'`{PATH}.preds_S.at`')
    assert '`backbone.stages.1` of the student is frozen' in text


def test_a_pyramid_whose_first_levels_are_frozen_still_learns():
    def freeze(model):
        model.backbone.stages[0].requires_grad_(False)

    assert build({'loss_x': link('backbone')}, freeze)


def test_a_part_under_no_grad_is_told():
    def change(model):
        model.backbone.stages[1] = WithoutGrad(model.backbone.stages[1])

    links = {'loss_x': link('backbone.stages.1', 'backbone.stages.1.inside')}
    text = refused(links, change)
    assert '`torch.no_grad`, gives no gradient' in text


def test_a_detached_part_is_told():
    def change(model):
        model.backbone.stages[1].relu = Detach()

    text = refused({'loss_x': link('backbone.stages.1')}, change)
    assert text.startswith(f'`{PATH}.preds_S.at`')
    assert 'what it returns is detached' in text


class Argmax(nn.Module):
    def forward(self, logits):
        return logits.argmax(1)


class Labelled(ToyModel):
    def __init__(self):
        super().__init__()
        self.label = Argmax()

    def _logits(self, maps):
        logits = super()._logits(maps)
        self.label(logits)
        return logits


def test_a_tap_of_whole_numbers_is_told():
    links = {'loss_x': link('label')}
    with pytest.raises(ConfigError) as error:
        MODELS.build(
            dict(
                type='mmkd_ext.TeacherDistill',
                architecture=Labelled(),
                teacher=Labelled(),
                distiller=dict(type='mmkd_ext.LinkDistiller', links=links),
            )
        )
    assert '`label` gives int64 values, which have no gradient' in str(error.value)


def test_a_connector_that_detaches_is_told_at_its_path():
    MODELS.register_module(name='DetachForTest', module=Detach, force=True)
    connector = dict(type='mmkd_ext.DetachForTest')
    text = refused({'loss_x': link('head.conv_seg', connector=connector)})
    assert text.startswith(f'`{PATH}.preds_S.connector`')
    assert '`Detach` detaches what the tap gives' in text


def test_a_connector_with_parameters_after_a_frozen_part_is_no_excuse():
    def freeze(model):
        model.backbone.requires_grad_(False)

    connector = dict(type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=8)
    links = {'loss_x': link('backbone.stages.1', connector=connector)}
    assert 'is frozen' in refused(links, freeze)


def test_a_student_that_is_not_to_be_trained_needs_no_gradient():
    assert build(
        {'loss_x': link('backbone')},
        student_trainable=False,
        calculate_student_loss=False,
    )


def test_each_link_without_a_gradient_is_told():
    def freeze(model):
        model.backbone.requires_grad_(False)

    links = {
        'loss_x': link('backbone.stages.1'),
        'loss_y': link('head.conv_seg'),
        'loss_z': link('backbone.stages.0'),
    }
    text = refused(links, freeze)
    assert text.startswith('2 problem(s)')
    assert 'loss_y' not in text


def test_the_dry_run_leaves_no_gradient_and_no_graph():
    algorithm = build({'loss_x': link('backbone')})
    assert all(p.grad is None for p in algorithm.parameters())
    assert copy.deepcopy(algorithm)
    recorder = algorithm.distiller.recorders['student']
    with pytest.raises(TapError):
        recorder.value(recorder.taps[0])


@pytest.mark.mmseg
def test_the_check_of_a_segmentor_with_checkpointing():
    """`with_cp` of mmseg's ResNet; a tap of its block is measured, one inside told."""
    pytest.importorskip('mmseg')

    def model(**backbone):
        norm = dict(type='BN')
        head = dict(in_channels=32, channels=8, num_classes=3, norm_cfg=norm)
        return dict(
            type='mmseg.EncoderDecoder',
            backbone=dict(
                type='mmseg.ResNetV1c',
                depth=18,
                base_channels=8,
                stem_channels=8,
                num_stages=3,
                strides=(1, 2, 2),
                dilations=(1, 1, 1),
                out_indices=(0, 1, 2),
                norm_cfg=norm,
                **backbone,
            ),
            decode_head=dict(type='mmseg.FCNHead', num_convs=1, in_index=2, **head),
            test_cfg=dict(mode='whole'),
        )

    def links(at):
        return {'loss_x': link(at), 'loss_y': link('decode_head.conv_seg')}

    def check(at):
        cfg = Config(
            dict(
                model=dict(
                    type='mmkd_ext.TeacherDistill',
                    architecture=model(with_cp=True),
                    teacher=model(),
                    distiller=dict(type='mmkd_ext.LinkDistiller', links=links(at)),
                ),
                default_scope='mmseg',
            )
        )
        return check_config(cfg, data=False)

    report = check('backbone.layer2.0')
    assert not report.problems
    assert all(term.gradient > 0 for term in report.terms if 'loss' in term.name)
    (problem,) = check('backbone.layer2.0.conv1').problems
    assert problem.path == f'{PATH}.preds_S.at'
    assert "'backbone.layer2.0'" in problem.hint
