"""Connectors of several inputs, and modules that are tapped themselves."""

from __future__ import annotations

import copy

import pytest
import torch
from distill_toys import LOGITS, build, calls_of, link, losses_of, refused, toy_batch
from torch import nn

from mmkd_ext.errors import TapError


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


class Passing(nn.Module):
    """Multiplies with a parameter."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.factor


class TeachersBias(nn.Module):
    """Adds a layer's bias."""

    def forward(self, x, head):
        return x.detach() + 1 + head.bias.abs().view(1, -1, 1, 1)


class FourChannels(nn.Module):
    """Repeats the first channel."""

    def forward(self, x):
        return x[:, :1].repeat(1, 4, 1, 1)


HEAD = dict(of='teacher', at=dict(type='Module', source=LOGITS))
GIVEN = dict(
    head=HEAD,
    weight=dict(of='student', at=LOGITS),
    inputs=dict(of='batch', at='inputs'),
)
NOWHERE = dict(type='Module', source='x')
PATH = 'model.distiller.links.loss_x.preds_T'


def linked(loss='FitNetsLoss', schedule=None, **tap):
    """A link whose teacher's side passes a connector."""
    own = dict(at='neck', item=0, connector=dict(type=GivenHead), given=GIVEN)
    more = {} if schedule is None else dict(schedule=schedule)
    return link(loss=loss, teacher={**own, **tap}, **more)


def test_the_teacher_stops_and_its_head_runs_on_what_the_student_has():
    algorithm, batch = build(linked()), toy_batch()
    calls = calls_of(algorithm.teacher.head.conv)
    loss = losses_of(algorithm, batch)['loss_x']
    assert not calls, 'the teacher ran beyond its neck'
    head, weight, inputs = algorithm.distiller.connectors['loss_x_preds_T'].seen[-1]
    assert head is algorithm.teacher.head.conv_seg
    assert weight.requires_grad
    assert inputs is batch['inputs']
    loss.backward()
    assert all(p.grad is None for p in algorithm.teacher.parameters())
    assert algorithm.student.backbone.stages[0].conv.weight.grad.any()
    # nothing is kept after the step
    for recorder in algorithm.distiller.recorders.values():
        for tap in recorder.taps:
            with pytest.raises((TapError, KeyError)):
                recorder.value(tap)


def test_a_copy_uses_its_own_modules():
    student = dict(of='student', at=dict(type='Module', source=LOGITS))
    algorithm = build(linked(given=dict(GIVEN, head=student), of='student'))
    twin = copy.deepcopy(algorithm)
    for one in (algorithm, twin):
        losses_of(one)
        seen = one.distiller.connectors['loss_x_preds_T'].seen[-1][0]
        assert seen is one.student.head.conv_seg


def test_a_link_that_rests_still_touches_the_connectors_parameters():
    weight = dict(of='student', at=LOGITS, connector=dict(type=Passing))
    rest = dict(type='constant', value=0.0)
    algorithm = build(linked(given=dict(GIVEN, weight=weight), schedule=rest))
    loss = losses_of(algorithm)['loss_x']
    assert loss == 0
    loss.backward()
    parameters = dict(algorithm.distiller.named_parameters())
    names = {name.split('.')[1] for name in parameters}
    assert names == {'loss_x_preds_T', 'loss_x_preds_T_weight'}
    assert all(p.grad is not None and not p.grad.any() for p in parameters.values())


def test_a_teacher_of_whom_only_a_module_is_asked_does_not_run():
    bias = dict(connector=dict(type=TeachersBias), given=dict(head=HEAD))
    algorithm = build(linked(of='student', at=LOGITS, item=None, **bias))
    calls = calls_of(algorithm.teacher.backbone)
    assert losses_of(algorithm)['loss_x'] > 0
    assert not calls


def test_the_batch_passes_a_connector_too():
    batch = dict(of='batch', at='inputs', connector=dict(type=FourChannels))
    assert losses_of(build(link(loss='FitNetsLoss', teacher=batch)))['loss_x'] > 0


@pytest.mark.parametrize(
    ('tap', 'path', 'word'),
    [
        (dict(given=dict(GIVEN, wieght=HEAD)), 'given.wieght', '`weight`'),
        (dict(given=dict(head=HEAD)), 'given', "['weight']"),
        (dict(given={}), 'given', "['head', 'weight']"),
        (dict(connector=dict(type=Passing)), 'given.head', 'takes none'),
        (
            dict(given=dict(GIVEN, head=dict(of='teacher', at=NOWHERE))),
            'given.head.at',
            '`x`',
        ),
        (
            dict(
                at=dict(type='ModuleInputs', source=LOGITS),
                item=None,
                given={},
                connector=dict(
                    type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=8
                ),
            ),
            'connector',
            '`item=0`',
        ),
    ],
)
def test_mistakes_are_named_at_their_place(tap, path, word):
    problem = refused(linked(**tap))[0]
    assert problem.path == f'{PATH}.{path}'
    assert word in str(problem)
