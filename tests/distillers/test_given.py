"""Connectors of several inputs, and modules that are tapped themselves."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import toy_batch


@MODELS.register_module()
class GivenHead(nn.Module):
    """Runs somebody's head on a map, as one does with a teacher's RoI head."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.seen = []

    def forward(self, levels, head, weight, inputs=None):
        self.seen.append((head, weight, inputs))
        with torch.no_grad():
            out = head(levels)
        return out * self.scale * weight.mean()


@pytest.fixture(autouse=True)
def _no_runner():
    MessageHub.get_current_instance().runtime_info.clear()


HEAD = dict(of='teacher', at=dict(type='Module', source='head.conv_seg'))
GIVEN = dict(
    head=HEAD,
    weight=dict(of='student', at='head.conv_seg'),
    inputs=dict(of='batch', at='inputs'),
)


def tap(**changes):
    return dict(
        dict(
            of='teacher',
            at='neck',
            item=0,
            connector=dict(type='GivenHead'),
            given=GIVEN,
        ),
        **changes,
    )


def build(preds_T=None, loss='FitNetsLoss', **link):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill',
            architecture=dict(type='mmkd_ext.ToyModel', channels=8),
            teacher=dict(type='mmkd_ext.ToyModel', channels=12),
            distiller=dict(
                type='mmkd_ext.LinkDistiller',
                links=dict(
                    loss_x=dict(
                        loss=dict(type=f'mmkd_ext.{loss}'),
                        preds_S=dict(of='student', at='head.conv_seg'),
                        preds_T=preds_T or tap(),
                        **link,
                    )
                ),
            ),
        )
    )


def problem(*args, **kwargs):
    with pytest.raises(ConfigError) as error:
        build(*args, **kwargs)
    return str(error.value)


def test_the_teacher_stops_and_its_head_runs_on_what_the_student_found():
    algorithm, batch = build(), toy_batch()
    called = []
    algorithm.teacher.head.conv.register_forward_hook(lambda *_: called.append(1))
    loss = algorithm(**batch, mode='loss')['distill.loss_x']
    assert not called, 'the teacher ran beyond its neck'
    connector = algorithm.distiller.connectors['loss_x_preds_T']
    head, weight, inputs = connector.seen[-1]
    assert head is algorithm.teacher.head.conv_seg
    assert weight.requires_grad
    assert inputs is batch['inputs']
    loss.backward()
    assert all(p.grad is None for p in algorithm.teacher.parameters())
    assert algorithm.student.backbone.stages[0].conv.weight.grad.any()


def test_nothing_is_kept_after_the_step():
    algorithm = build()
    algorithm(**toy_batch(), mode='loss')
    assert all(not r._modules for r in algorithm.distiller.recorders.values())
    assert all(not r._records for r in algorithm.distiller.recorders.values())


def test_a_copy_uses_its_own_modules():
    student = dict(of='student', at=dict(type='Module', source='head.conv_seg'))
    algorithm = build(tap(given=dict(GIVEN, head=student), of='student'))
    twin = copy.deepcopy(algorithm)
    for one in (algorithm, twin):
        one(**toy_batch(), mode='loss')
    seen = [
        one.distiller.connectors['loss_x_preds_T'].seen[-1][0]
        for one in (algorithm, twin)
    ]
    assert seen[0] is algorithm.student.head.conv_seg
    assert seen[1] is twin.student.head.conv_seg
    assert seen[0] is not seen[1]


def test_a_link_that_rests_still_touches_the_connectors_parameters():
    inner = dict(
        GIVEN,
        weight=dict(of='student', at='head.conv_seg', connector=dict(type='Passing')),
    )
    algorithm = build(tap(given=inner), schedule=dict(type='constant', value=0.0))
    loss = algorithm(**toy_batch(), mode='loss')['distill.loss_x']
    assert loss == 0
    loss.backward()
    parameters = dict(algorithm.distiller.named_parameters())
    assert {name.split('.')[1] for name in parameters} == {
        'loss_x_preds_T',
        'loss_x_preds_T_weight',
    }
    assert all(p.grad is not None and not p.grad.any() for p in parameters.values())


@MODELS.register_module()
class Passing(nn.Module):
    """Multiplies with a parameter."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.factor


def test_a_teacher_of_whom_only_a_module_is_asked_does_not_run():
    algorithm = build(
        tap(
            of='student',
            at='head.conv_seg',
            item=None,
            connector=dict(type='TeachersBias'),
            given=dict(head=HEAD),
        )
    )
    called = []
    algorithm.teacher.backbone.register_forward_hook(lambda *_: called.append(1))
    assert algorithm(**toy_batch(), mode='loss')['distill.loss_x'] > 0
    assert not called


@MODELS.register_module()
class TeachersBias(nn.Module):
    """Adds a layer's bias."""

    def forward(self, x, head):
        return x.detach() + 1 + head.bias.abs().view(1, -1, 1, 1)


def test_the_batch_passes_a_connector_too():
    algorithm = build(
        dict(of='batch', at='inputs', connector=dict(type='ChannelsOf', channels=4)),
        loss='FitNetsLoss',
    )
    assert algorithm(**toy_batch(), mode='loss')['distill.loss_x'] > 0


@MODELS.register_module()
class ChannelsOf(nn.Module):
    """Repeats the first channel."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        return x[:, :1].repeat(1, self.channels, 1, 1)


def test_what_the_connector_does_not_take_is_named():
    text = problem(tap(given=dict(GIVEN, wieght=GIVEN['weight'])))
    assert '`model.distiller.links.loss_x.preds_T.given.wieght`' in text
    assert 'given.wieght`: `GivenHead` has no such argument' in text
    assert 'Did you mean `weight`?' in text


def test_what_the_connector_needs_is_named():
    text = problem(tap(given=dict(head=HEAD)))
    assert '`model.distiller.links.loss_x.preds_T.given`' in text
    assert "`GivenHead` needs ['weight']" in text
    assert 'Add given=dict(weight=dict(of=..., at=...))' in text


def test_a_connector_of_several_inputs_without_given_is_named():
    one = tap()
    del one['given']
    text = problem(one)
    assert "needs ['head', 'weight']" in text


def test_a_connector_of_one_map_that_gets_a_tuple_says_how_to_pick():
    inputs = dict(of='teacher', at=dict(type='ModuleInputs', source='head.conv_seg'),
                  connector=dict(type='mmkd_ext.ConvAdapter', in_channels=8,
                                 out_channels=8))
    text = problem(inputs)
    assert '`model.distiller.links.loss_x.preds_T.connector`' in text
    assert 'the tap gives a tuple of 1. Pick one with `item=0`' in text


def test_a_connector_of_one_input_takes_no_more():
    text = problem(tap(connector=dict(type='Passing')))
    assert 'given.head`: `Passing` has no such argument; it takes none.' in text


def test_a_module_that_is_not_there_is_named_at_its_place():
    head = dict(of='teacher', at=dict(type='Module', source='head.conv_sge'))
    text = problem(tap(given=dict(GIVEN, head=head)))
    assert '`model.distiller.links.loss_x.preds_T.given.head.at`' in text
    assert 'Did you mean `head.conv_seg`' in text
