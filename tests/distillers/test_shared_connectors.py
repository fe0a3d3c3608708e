"""Connectors that several links share: one module, one run a step."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import toy_batch

CHANNELS = 12


@MODELS.register_module()
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


@pytest.fixture(autouse=True)
def _no_runner():
    MessageHub.get_current_instance().runtime_info.clear()


def tap(**changes):
    own = dict(of='student', at='neck', item=0, connector='shared', connector_item=0)
    return {**own, **changes}


def given(owner):
    return dict(weight=dict(of=owner, at='head.conv_seg'))


def build(*taps, resting=(), shared=('shared',)):
    """A distillation with a link for each of the student's taps."""
    torch.manual_seed(0)
    links = {
        f'loss_{i}': dict(
            loss=dict(type='mmkd_ext.FitNetsLoss'),
            preds_S=one,
            preds_T=dict(of='teacher', at='neck', item=0),
        )
        for i, one in enumerate(taps)
    }
    for i in resting:
        links[f'loss_{i}']['schedule'] = dict(type='constant', value=0.0)
    config = dict(
        type='mmkd_ext.TeacherDistill',
        architecture=dict(type='mmkd_ext.ToyModel', channels=CHANNELS),
        teacher=dict(type='mmkd_ext.ToyModel', channels=CHANNELS),
        distiller=dict(
            type='mmkd_ext.LinkDistiller',
            connectors={name: dict(type='CountedConnector') for name in shared},
            links=links,
        ),
    )
    algorithm = MODELS.build(config)
    for connector in algorithm.distiller.connectors.values():
        connector.returned.clear()  # of the dry run
    return algorithm


def losses_of(algorithm):
    found = algorithm(**toy_batch(), mode='loss')
    return [value for key, value in found.items() if key.startswith('distill')]


def runs(algorithm):
    """How often each connector ran in one step."""
    losses_of(algorithm)
    connectors = algorithm.distiller.connectors.items()
    return {name: len(one.returned) for name, one in connectors}


def test_a_shared_connector_runs_once_on_equal_taps():
    algorithm = build(tap(), tap())
    assert runs(algorithm) == {'shared': 1}
    assert algorithm.distiller.connectors['shared'].norm.num_batches_tracked == 1


def test_two_parts_of_what_it_returns_are_one_run():
    algorithm = build(tap(), tap(connector_item=1))
    whole, part = losses_of(algorithm)
    assert len(algorithm.distiller.connectors['shared'].returned) == 1
    assert whole != part


@pytest.mark.parametrize(
    'other',
    [
        dict(of='teacher'),
        dict(at='head.conv', item=None),
        dict(item=1),
        dict(given=given('student')),
    ],
    ids=['owner', 'module', 'item', 'given'],
)
def test_another_tap_is_another_run(other):
    assert runs(build(tap(), tap(**other))) == {'shared': 2}


def test_taps_that_differ_in_what_is_given_are_two_runs():
    one, other = (tap(given=given(owner)) for owner in ('student', 'teacher'))
    assert runs(build(one, other, one)) == {'shared': 2}


def test_connectors_written_inside_taps_stay_apart():
    own = dict(type='CountedConnector')
    algorithm = build(tap(connector=own), tap(connector=own), shared=())
    assert runs(algorithm) == {'loss_0_preds_S': 1, 'loss_1_preds_S': 1}
    first, second = algorithm.distiller.connectors.values()
    assert first.norm.weight is not second.norm.weight


def test_a_shared_connector_owns_its_parameters_once():
    distiller = build(tap(), tap()).distiller
    names = [name for name, _ in distiller.named_parameters(remove_duplicate=False)]
    assert sorted(names) == [
        'connectors.shared.norm.bias',
        'connectors.shared.norm.weight',
    ]


def test_losses_and_gradients_are_those_of_a_connector_that_ran_for_each():
    """Two copies with equal weights; a shared module gets the sum of their pulls."""
    once = build(tap(), tap())
    twice = build(tap(), tap(connector='copy'), shared=('shared', 'copy'))
    for algorithm in (once, twice):
        algorithm.eval()  # no dropout
        sum(losses_of(algorithm)).backward()
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


def test_nothing_is_kept_of_a_step_that_failed():
    algorithm = build(tap(), tap())
    failing = algorithm.distiller.distill_losses['loss_1']
    failing.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        losses_of(algorithm)
    gc.collect()
    (out,) = algorithm.distiller.connectors['shared'].returned
    assert out() is None


def test_a_resting_link_leaves_the_other_its_run():
    algorithm = build(tap(), tap(), resting=[0])
    resting, working = losses_of(algorithm)
    assert resting == 0
    assert working > 0
    assert len(algorithm.distiller.connectors['shared'].returned) == 1
