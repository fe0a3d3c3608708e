"""Connectors that several links share: one module, one run a step."""

from __future__ import annotations

import gc
import weakref

import distill_toys as toys
import pytest
import torch
from distill_toys import losses_of
from torch import nn

CHANNELS = 12


class CountedConnector(nn.Module):
    """Returns two maps; keeps what it returned, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.returned = []

    def forward(self, feature, weight=None):
        out = self.norm(feature)
        if weight is not None:
            out = out * weight.mean()
        self.returned.append(weakref.ref(out))
        return out, feature


def tap(**changes):
    return {**dict(at='neck', item=0, connector='shared', connector_item=0), **changes}


def given(owner):
    return dict(weight=dict(of=owner, at='head.conv_seg'))


def build(*taps, resting=(), shared=('shared',)):
    """A distillation with a link for each of the student's taps."""
    links = {
        f'loss_{i}': toys.link('neck', 'FitNetsLoss', student=one, teacher=dict(item=0))
        for i, one in enumerate(taps)
    }
    for i in resting:
        links[f'loss_{i}']['schedule'] = dict(type='constant', value=0.0)
    connectors = {name: dict(type=CountedConnector) for name in shared}
    model, shared = dict(type=toys.TOY, channels=CHANNELS), dict(connectors=connectors)
    algorithm = toys.build(links, model, dict(model), distiller=shared)
    for connector in algorithm.distiller.connectors.values():
        connector.returned.clear()  # of the dry run
    return algorithm


def runs(algorithm):
    """How often each connector ran in one step."""
    losses_of(algorithm)
    connectors = algorithm.distiller.connectors.items()
    return {name: len(one.returned) for name, one in connectors}


def test_a_shared_connector_runs_once_on_equal_taps():
    algorithm = build(tap(), tap())
    assert runs(algorithm) == {'shared': 1}
    assert algorithm.distiller.connectors['shared'].norm.num_batches_tracked == 1
    names = [n for n, _ in algorithm.distiller.named_parameters(remove_duplicate=False)]
    assert sorted(names) == [f'connectors.shared.norm.{n}' for n in ('bias', 'weight')]


def test_two_parts_of_what_it_returns_are_one_run():
    algorithm = build(tap(), tap(connector_item=1))
    whole, part = losses_of(algorithm).values()
    assert len(algorithm.distiller.connectors['shared'].returned) == 1
    assert whole != part


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ({}, dict(of='teacher')),
        ({}, dict(at='head.conv', item=None)),
        ({}, dict(item=1)),
        ({}, dict(given=given('student'))),
        (dict(given=given('teacher')), dict(given=given('student'))),
    ],
    ids=['owner', 'module', 'item', 'given', 'other given'],
)
def test_another_tap_is_another_run(one, other):
    assert runs(build(tap(**one), tap(**other), tap(**one))) == {'shared': 2}


def test_connectors_written_inside_taps_stay_apart():
    own = dict(type=CountedConnector)
    algorithm = build(tap(connector=own), tap(connector=own), shared=())
    assert runs(algorithm) == {'loss_0_preds_S': 1, 'loss_1_preds_S': 1}
    first, second = algorithm.distiller.connectors.values()
    assert first.norm.weight is not second.norm.weight


def test_losses_and_gradients_are_those_of_a_connector_that_ran_for_each():
    """Of two copies with equal weights; gradients add up."""
    once = build(tap(), tap())
    twice = build(tap(), tap(connector='copy'), shared=('shared', 'copy'))
    for algorithm in (once, twice):
        algorithm.eval()  # no dropout
        sum(losses_of(algorithm).values()).backward()
    torch.testing.assert_close(losses_of(once), losses_of(twice))
    shared = once.distiller.connectors['shared'].norm.weight.grad
    apart = [c.norm.weight.grad for c in twice.distiller.connectors.values()]
    torch.testing.assert_close(shared, sum(apart))
    for one, other in zip(once.student.parameters(), twice.student.parameters()):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad)


def test_it_runs_anew_in_every_step_and_nothing_is_kept():
    algorithm = build(tap(), tap())
    connector = algorithm.distiller.connectors['shared']
    for count in (1, 2):
        losses = losses_of(algorithm)
        assert len(connector.returned) == count
        del losses
        gc.collect()
        assert all(out() is None for out in connector.returned)
    # nor of a step that failed
    failing = algorithm.distiller.distill_losses['loss_1']
    failing.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        losses_of(algorithm)
    gc.collect()
    assert connector.returned[-1]() is None


def test_a_resting_link_leaves_the_other_its_run():
    algorithm = build(tap(), tap(), resting=[0])
    resting, working = losses_of(algorithm).values()
    assert resting == 0
    assert working > 0
    assert len(algorithm.distiller.connectors['shared'].returned) == 1
