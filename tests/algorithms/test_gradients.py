"""A link that gives the student no gradient is found before training."""

from __future__ import annotations

import copy

import distill_toys as toys
import pytest
import torch
from distill_toys import link, losses_of
from mmengine.config import Config
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmkd_ext.config import measure
from mmkd_ext.config.check import check_config
from mmkd_ext.errors import ConfigError, TapError
from mmkd_ext.testing.toy import ToyModel

PATH = 'model.distiller.links.loss_x'


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


def links_of(at, student=None, **tap):
    return link(at, 'FitNetsLoss', student=dict(at=student or at, **tap))


def build(links, change=lambda model: None, **more):
    torch.manual_seed(0)
    student = ToyModel()
    change(student)
    return toys.build(links, student, ToyModel(), **more)


def refused(links, change):
    """The one problem of a link that gives no gradient."""
    with pytest.raises(ConfigError) as error:
        build(links, change)
    (problem,) = error.value.problems
    return problem


def freeze(model):
    model.backbone.requires_grad_(False)


def no_grad(model):
    model.backbone.stages[1] = WithoutGrad(model.backbone.stages[1])


def detach(model):
    model.backbone.stages[1].relu = Detach()


def checkpointed(model):
    model.backbone.stages[1] = Block(model.backbone.stages[1])


ADAPTER = dict(type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=8)
STAGE = 'backbone.stages.1'


@pytest.mark.parametrize(
    ('links', 'change', 'key', 'word'),
    [
        (links_of(f'{STAGE}.conv', f'{STAGE}.inside.conv'), checkpointed, 'at',
         "Tap the block, 'backbone.stages.1'"),
        (links_of(STAGE), freeze, 'at', 'frozen'),
        # a connector with parameters after a frozen part is no excuse
        (links_of(STAGE, connector=ADAPTER), freeze, 'at', 'frozen'),
        (links_of(STAGE, f'{STAGE}.inside'), no_grad, 'at', '`torch.no_grad`'),
        (links_of(STAGE), detach, 'at', 'detached'),
        (links_of('head.conv_seg', connector=dict(type=Detach)), lambda _: None,
         'connector', '`Detach` detaches'),
    ],
)  # fmt: skip
def test_a_tap_without_a_gradient_is_named_with_the_reason(links, change, key, word):
    problem = refused(links, change)
    assert problem.path == f'{PATH}.preds_S.{key}'
    assert word in str(problem)


def test_a_checkpointed_block_itself_gives_a_gradient():
    algorithm = build(links_of(STAGE), checkpointed).train()
    losses_of(algorithm)['loss_x'].backward()
    assert algorithm.student.backbone.stages[1].inside.conv.weight.grad.abs().sum() > 0


def test_terms_of_a_checkpointed_student_are_measured_like_those_of_a_plain_one():
    """Without batch statistics, which the second pass of a checkpoint moves."""
    links = {'loss_x': links_of(STAGE), 'loss_y': links_of('head.conv_seg')}
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


def test_a_pyramid_whose_first_levels_are_frozen_still_learns():
    def freeze_first(model):
        model.backbone.stages[0].requires_grad_(False)

    assert build(links_of('backbone'), freeze_first)


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


def test_a_tap_of_whole_numbers_is_named():
    (problem,) = toys.refused(links_of('label'), Labelled(), Labelled())
    assert 'int64' in problem.found


def test_a_student_that_is_not_to_be_trained_needs_no_gradient():
    frozen = dict(student_trainable=False, calculate_student_loss=False)
    assert build(links_of('backbone'), **frozen)


def test_each_link_without_a_gradient_is_named():
    places = dict(loss_x=STAGE, loss_y='head.conv_seg', loss_z='backbone.stages.0')
    links = {name: links_of(at) for name, at in places.items()}
    with pytest.raises(ConfigError) as error:
        build(links, freeze)
    found = [problem.path.split('.')[3] for problem in error.value.problems]
    assert found == ['loss_x', 'loss_z']


def test_the_dry_run_leaves_no_gradient_and_no_graph():
    algorithm = build(links_of('backbone'))
    assert all(p.grad is None for p in algorithm.parameters())
    assert copy.deepcopy(algorithm)
    recorder = algorithm.distiller.recorders['student']
    with pytest.raises(TapError):
        recorder.value(recorder.taps[0])


@pytest.mark.mmseg
def test_the_check_of_a_segmentor_with_checkpointing():
    """`with_cp` of mmseg's ResNet; a tap of its block is measured, one inside named."""
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

    def check(at):
        links = {'loss_x': links_of(at), 'loss_y': links_of('decode_head.conv_seg')}
        distillation = toys.config(links, model(with_cp=True), model())
        cfg = Config(dict(model=distillation, default_scope='mmseg'))
        return check_config(cfg, data=False)

    report = check('backbone.layer2.0')
    assert not report.problems
    assert all(term.gradient > 0 for term in report.terms if 'loss' in term.name)
    (problem,) = check('backbone.layer2.0.conv1').problems
    assert problem.path == f'{PATH}.preds_S.at'
    assert "'backbone.layer2.0'" in problem.hint
