"""Every loss is a number, or one knows which is not."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import engine_toys as toys
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from torch import nn

from mmkd_ext.engine import FiniteLossHook
from mmkd_ext.errors import ConfigError, NonFiniteError
from mmkd_ext.methods import MGDConnector
from mmkd_ext.methods._memory import KeyMemory


@HOOKS.register_module(force=True)
class Keep(Hook):
    """Keeps the whole state after each iteration."""

    priority = 'LOWEST'
    states: list = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        optimizer = runner.optim_wrapper.optimizer.state_dict()['state']
        self.states.append(copy.deepcopy((dict(runner.model.state_dict()), optimizer)))


@pytest.fixture(autouse=True)
def states():
    Keep.states = []
    return Keep.states


def run(folder, at, action='stop', **settings):
    hooks = [
        dict(
            type='mmkd_ext.FiniteLossHook', action=action, **settings.pop('finite', {})
        ),
        dict(type='Spoil', at=at),
        dict(type='Keep'),
    ]
    settings.setdefault('length', 6)
    return toys.train(toys.config(folder, hooks=hooks, interval=100, **settings))


def same(one, other):
    model = all(
        torch.equal(one[0][k], other[0][k]) for k in one[0] if 'position' not in k
    )
    optimizer = all(
        torch.equal(a, other[1][p][k])
        for p, slot in one[1].items()
        for k, a in slot.items()
        if isinstance(a, torch.Tensor)
    )
    return model and optimizer


def test_stop_names_the_term_and_the_iteration_and_saves_nothing(tmp_path, states):
    with pytest.raises(NonFiniteError) as raised:
        run(tmp_path, at=[2])
    text = str(raised.value)
    for words in ('Iteration 3', '`student.loss_ce` is nan', 'distill.loss_cwd = '):
        assert words in text
    assert len(states) == 2
    assert not list(tmp_path.glob('*.pth'))


def change_losses(monkeypatch, change):
    forward = toys.ToyNet.forward

    def changed(self, inputs, data_samples=None, mode='tensor'):
        out = forward(self, inputs, data_samples, mode)
        if mode == 'loss':
            change(out)
        return out

    monkeypatch.setattr(toys.ToyNet, 'forward', changed)


def test_only_the_bad_term_is_named(tmp_path, monkeypatch):
    change_losses(
        monkeypatch, lambda out: out.update(loss_extra=out['loss_ce'] * math.inf)
    )
    with pytest.raises(NonFiniteError) as raised:
        run(tmp_path, at=[])
    named = str(raised.value).split('(all terms')[0]
    assert '`student.loss_extra` is inf' in named
    assert not any(name in named for name in ('loss_ce', 'loss_cwd'))


def test_accuracy_may_be_nan(tmp_path, monkeypatch, states):
    change_losses(monkeypatch, lambda out: out.update(acc=out['acc'] * math.nan))
    run(tmp_path, at=[])
    assert len(states) == 6


WRAPPERS = {
    'plain': {},
    'mixed precision': dict(type='mmkd_ext.Bf16OptimWrapper'),
    'clipped': dict(clip_grad=dict(max_norm=1.0)),
}


@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_skip_changes_no_weight_no_statistic_and_no_momentum(wrapper, tmp_path, states):
    runner = run(tmp_path, at=[2, 3], action='skip', wrapper=WRAPPERS[wrapper])
    assert len(states) == 6
    assert same(states[1], states[2])
    assert same(states[2], states[3])
    assert not same(states[3], states[4])
    assert all(v.isfinite().all() for v in states[-1][0].values())
    assert runner.message_hub.get_info('skipped_batches') == 2


def test_skip_does_not_log_the_bad_number(tmp_path):
    run(tmp_path, at=[2], action='skip')
    values = toys.logged(tmp_path, 'loss')
    assert len(values) == 6
    assert all(math.isfinite(v) for v in values.values())


def test_without_the_hook_the_weights_would_be_lost(tmp_path, states):
    # the opposite of the test above: it is the hook that saved them
    run(tmp_path, at=[2], action='warn')
    assert not all(v.isfinite().all() for v in states[-1][0].values())


def accumulate(folder, states, at, length):
    states.clear()
    run(
        folder, at=at, action='skip', wrapper=dict(accumulative_counts=2), length=length
    )
    return list(states)


def test_the_other_batches_of_an_accumulation_still_count(tmp_path, states):
    # batches 2 and 3 make one update; whichever is bad, the other one makes it
    for number, bad in enumerate([2, 3]):
        seen = accumulate(tmp_path / str(number), states, [bad], 4)
        assert same(seen[1], seen[2]) or bad == 3
        assert not same(seen[1], seen[3])
        assert all(v.isfinite().all() for v in seen[3][0].values())


def test_an_accumulation_of_bad_batches_alone_updates_nothing(tmp_path, states):
    seen = accumulate(tmp_path, states, [2, 3], 6)
    assert same(seen[1], seen[3])
    assert not same(seen[3], seen[5])


class Weight(nn.Module):
    """One weight; its loss is weight * input."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def parse_losses(self, terms):
        return terms['loss'], dict(terms)


def hooked(model, steps, counts=1, **optimizer):
    """A wrapper of an optimizer and the hook, with a runner's step as it calls them."""
    wrapper = OptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1, **optimizer),
        accumulative_counts=counts,
    )
    wrapper.initialize_count_status(model, 0, steps)
    runner = SimpleNamespace(
        model=model,
        optim_wrapper=wrapper,
        iter=0,
        message_hub=MessageHub.get_instance('by hand'),
        logger=SimpleNamespace(warning=lambda text: None),
    )
    hook = FiniteLossHook('skip')
    hook.before_train(runner)

    def step(loss, zero_kwargs=None):
        hook.before_train_iter(runner, 0)
        total, _ = model.parse_losses({'loss': loss()})
        wrapper.update_params(total, zero_kwargs=zero_kwargs)

    return step


def by_hand(inputs, counts, zero_kwargs=None, **optimizer):
    """Weights after each of ``inputs``."""
    model = Weight()
    step = hooked(model, len(inputs), counts, **optimizer)
    weights = []
    for value in inputs:
        step(lambda value=value: model.weight * value, zero_kwargs)
        weights.append(model.weight.item())
    return weights


@pytest.mark.parametrize('inputs', [[1, math.nan, 1, 1], [math.nan, 1, 1, 1]])
def test_the_gradient_of_the_good_batch_is_what_is_applied(inputs):
    # d(w * 1) / dw = 1, halved by the accumulation: 2 - 0.1 * 0.5, then - 0.1 * 1
    assert by_hand(inputs, counts=2) == pytest.approx([2, 1.95, 1.95, 1.85])


def test_weight_decay_and_momentum_rest_as_well():
    # gradients that are kept as zeros would let both move the weight
    weights = by_hand(
        [1, math.nan, math.nan, 1],
        counts=1,
        momentum=0.9,
        weight_decay=0.1,
        zero_kwargs=dict(set_to_none=False),
    )
    assert weights[0] == weights[1] == weights[2] != weights[3]


def test_skip_stops_when_no_batch_is_good(tmp_path):
    with pytest.raises(NonFiniteError, match='3 batches'):
        run(tmp_path, at=range(6), action='skip', finite=dict(max_skips=3))


def test_the_check_is_gone_after_training_and_is_not_copied_with_the_model(tmp_path):
    runner = run(tmp_path, at=[], action='skip')
    assert 'parse_losses' not in vars(runner.model)
    assert 'update_params' not in vars(runner.optim_wrapper)


def test_an_unknown_action_is_refused():
    with pytest.raises(ConfigError, match='`skip`'):
        FiniteLossHook('skp')


def test_what_counts_draws_goes_on_through_a_skipped_batch():
    memory, connector = KeyMemory(2, 3, 2), MGDConnector(2, seed=0)
    model = nn.ModuleDict({'memory': memory, 'connector': connector})
    model.add_module('weight', Weight())
    model.parse_losses = model.weight.parse_losses

    def spoilt():
        memory.generators()
        connector(torch.zeros(1, 2, 4, 4))
        memory.keys.fill_(1)
        return model.weight.weight * math.nan

    hooked(model, 2)(spoilt)
    assert not memory.keys.any()  # what was remembered is set back
    assert memory.steps == 1
    assert connector.calls == 1
