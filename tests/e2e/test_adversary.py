"""Training against a discriminator, with an optimizer of its own, from end to end."""

from __future__ import annotations

import copy
import functools
import math
import subprocess
import sys
from pathlib import Path

import engine_toys as toys
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS

from mmkd_ext.engine import AdversarialOptimWrapperConstructor
from mmkd_ext.engine.launch import build_runner, load_config
from mmkd_ext.errors import CheckpointError, ConfigError

TOOLS = Path(__file__).parents[2] / 'tools'
CONSTRUCTOR = 'mmkd_ext.AdversarialOptimWrapperConstructor'
TERMS = ('distill.loss_holistic', 'distill.loss_holistic_discriminator')


@HOOKS.register_module(force=True)
class KeepBoth(Hook):
    """Keeps model and both optimizers after each iteration."""

    priority = 'LOWEST'
    states: list = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        wrapper = runner.optim_wrapper
        self.states.append(copy.deepcopy([
            dict(runner.model.state_dict()),
            wrapper.optimizer.state_dict()['state'],
            wrapper.discriminator.state_dict()['state']]))


def holistic(schedule=None, **loss):
    link = dict(
        loss=dict(
            type='mmkd_ext.SKDSHolisticLoss', channels=toys.CLASSES, widths=(4, 8),
            attention=1, loss_weight=0.1, **loss),
        preds_S=dict(of='student', at='conv_seg'),
        preds_T=dict(of='teacher', at='conv_seg'), inputs=dict(of='batch', at='inputs'))
    if schedule is not None:
        link['schedule'] = schedule
    return toys.distillation(loss_holistic=link)


def train_and_keep(cfg):
    """Returns the runner and what `KeepBoth` kept."""
    KeepBoth.states = []
    return toys.train(cfg), list(KeepBoth.states)


def config(folder, model=None, wrapper=(), **settings):
    wrapper = {'constructor': CONSTRUCTOR, **dict(wrapper)}
    return toys.config(folder, model=model or holistic(), wrapper=wrapper, **settings)


def flat(value, name=''):
    """All tensors of nested dicts and lists by their path."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {}
    return {
        k: v
        for key, one in value.items()
        for k, v in flat(one, f'{name}.{key}').items()}


def different(one, other):
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    return {k for k in one if not torch.equal(one[k], other[k])}


# ---- training -----------------------------------------------------------------------


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('adversary')
    schedulers = [
        dict(
            type='mmkd_ext.DiscriminatorScheduler', scheduler='LinearLR',
            start_factor=0.5, by_epoch=False, begin=0, end=4)]
    cfg = config(
        folder, hooks=[dict(type='KeepBoth')],
        wrapper=dict(discriminator=dict(clip_grad=dict(max_norm=1.0))))
    cfg.param_scheduler += schedulers
    runner, states = train_and_keep(cfg)
    return folder, runner, states


def test_each_parameter_belongs_to_one_optimizer(trained):
    _, runner, _ = trained
    wrapper = runner.optim_wrapper
    names = {id(p): name for name, p in runner.model.named_parameters()}
    owned = [
        {
            names.pop(id(p))
            for group in one.optimizer.param_groups
            for p in group['params']}
        for one in (wrapper, wrapper.discriminator)]
    assert not names
    inside = 'distiller.distill_losses.loss_holistic.discriminator.'
    assert all(name.startswith('architecture.') for name in owned[0])
    assert all(name.startswith(inside) for name in owned[1])
    kinds = [type(one.optimizer).__name__ for one in (wrapper, wrapper.discriminator)]
    assert kinds == ['SGD', 'Adam']


def test_both_learn_and_both_terms_are_logged(trained):
    folder, _, states = trained
    moved = different(states[0], states[-1])
    for place in (
        '.0.architecture.stem.weight', '.1.0.momentum_buffer',
        '.0.distiller.distill_losses.loss_holistic.discriminator.convs.0.'
        'parametrizations.weight.original', '.2.state.0.exp_avg',
    ):
        assert any(name.startswith(place.replace('.state', '')) for name in moved), (
            place)
    values = toys.logged(folder, *TERMS)
    assert {name for name, _ in values} == set(TERMS)
    assert all(math.isfinite(value) for value in values.values())


def test_each_side_has_its_own_schedule(trained):
    folder, _, _ = trained
    values = toys.logged(folder, 'lr', 'discriminator.lr')
    # PolyLR from 0.1 to 0 in 17 steps; LinearLR from half of 4e-4 in four
    for step in range(9):
        assert values['lr', step + 1] == pytest.approx(0.1 * (1 - step / 17), rel=1e-4)
        warm = min(1.0, 0.5 + 0.5 * step / 3)
        assert values['discriminator.lr', step + 1] == pytest.approx(4e-4 * warm)


def test_the_students_file_has_no_discriminator_and_the_checkpoint_has(trained):
    folder, _, _ = trained
    student = torch.load(folder / 'iter_9_student.pth', weights_only=True)
    toys.ToyNet(width=4).load_state_dict(student['state_dict'], strict=True)
    whole = torch.load(folder / 'iter_9.pth', weights_only=True)
    assert any('discriminator' in name for name in whole['state_dict'])
    assert whole['optimizer']['discriminator']['state']


def test_a_schedule_scales_the_students_term_alone(tmp_path):
    half = dict(type='constant', value=0.5)
    for name, schedule in (('plain', None), ('half', half)):
        toys.train(config(tmp_path / name, model=holistic(schedule), length=1))
    plain, scaled = (toys.logged(tmp_path / name, *TERMS) for name in ('plain', 'half'))
    student, own = ((name, 1) for name in TERMS)
    assert scaled[student] == pytest.approx(0.5 * plain[student])
    assert scaled[own] == plain[own]


# ---- stopping and going on ----------------------------------------------------------


CASES = {
    'hinge': {},
    'wgan-gp, averaged weights': dict(
        model=holistic(mode='wgan-gp'), hooks=[dict(type='EMAHook', momentum=0.1)]),
    'options by parameter': dict(
        wrapper=dict(paramwise_cfg=dict(custom_keys={'conv_seg': dict(lr_mult=10.0)}))),
    'accumulated, mixed precision': dict(
        wrapper=dict(type='mmkd_ext.Bf16OptimWrapper', accumulative_counts=3))}


@pytest.mark.parametrize('case', CASES)
def test_resumed_equals_uninterrupted(case, tmp_path):
    settings = CASES[case]
    toys.train(config(tmp_path / 'straight', **copy.deepcopy(settings)))
    first = config(tmp_path / 'resumed', **copy.deepcopy(settings))
    first.custom_hooks.append(dict(type='StopAfter', iteration=8))
    with pytest.raises(toys.Stop):
        toys.train(first)
    again = config(tmp_path / 'resumed', **copy.deepcopy(settings))
    again.resume = True
    toys.train(again)
    states = [
        torch.load(tmp_path / name / 'iter_9.pth', weights_only=True)
        for name in ('straight', 'resumed')]
    for key in {'state_dict', 'optimizer', 'ema_state_dict'} & set(states[0]):
        assert not different(*(state[key] for state in states)), key
    keys = ('loss', *TERMS, 'lr', 'discriminator.lr')
    logs = [toys.logged(tmp_path / name, *keys) for name in ('straight', 'resumed')]
    assert logs[0] == logs[1] != {}


def test_a_run_without_a_discriminator_cannot_be_resumed_with_one(tmp_path):
    toys.train(toys.config(tmp_path, length=3))
    cfg = config(tmp_path, length=6)
    cfg.resume = True
    with pytest.raises(CheckpointError, match='`load_from` without `resume`'):
        toys.train(cfg)


# ---- a bad batch --------------------------------------------------------------------


def run_with_bad_batches(folder, at, **settings):
    hooks = [
        dict(type='mmkd_ext.FiniteLossHook', action='skip'),
        dict(type='Spoil', at=at),
        dict(type='KeepBoth')]
    return train_and_keep(config(folder, hooks=hooks, interval=100, **settings))


def test_a_bad_batch_changes_neither_side(tmp_path):
    runner, states = run_with_bad_batches(tmp_path, at=[2, 3], length=6)
    assert not different(states[1], states[3])
    assert len(different(states[3], states[4])) > 20
    assert all(v.isfinite().all() for v in flat(states[-1]).values())
    assert runner.message_hub.get_info('skipped_batches') == 2


# ---- several processes --------------------------------------------------------------


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason='needs gloo')
def test_two_processes_stay_in_step(tmp_path):
    # the link rests at first; one process meets a bad picture; a batch is skipped
    cfg = config(
        tmp_path / 'run',
        model=holistic(dict(type='constant', begin=2), mode='wgan-gp'), length=8,
        interval=8, dataset=dict(nan_at=[0]),
        wrapper=dict(
            accumulative_counts=2, discriminator=dict(clip_grad=dict(max_norm=1.0))),
        hooks=[
            dict(type='mmkd_ext.FiniteLossHook', action='skip'),
            dict(type='ToyDump', folder=str(tmp_path))])
    file = tmp_path / 'toy.py'
    cfg.dump(str(file))
    done = subprocess.run(
        ['bash', str(TOOLS / 'dist_train.sh'), str(file), '2', '--no-check'],
        env=toys.environment(PYTHON=sys.executable, PORT=toys.free_port()), check=False,
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    first, second = (
        torch.load(tmp_path / f'rank{i}.pt', weights_only=True) for i in range(2))
    assert first['skipped'] == second['skipped'] > 0
    apart = different(first['state_dict'], second['state_dict'])
    assert all('running' in name for name in apart)
    start = build_runner(load_config(str(file))).model.state_dict()
    assert any('discriminator' in n for n in different(start, first['state_dict']))
    assert all(v.isfinite().all() for v in first['state_dict'].values())


# ---- loss scales --------------------------------------------------------------------


@pytest.fixture
def _float16_on_a_cpu(monkeypatch):
    """mmengine's mixed precision with its loss scale, which wants an accelerator."""
    from mmengine.optim.optimizer import amp_optimizer_wrapper as amp

    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('torch has no loss scale on a CPU')
    monkeypatch.setattr(amp, 'is_cuda_available', lambda: True)
    scaler = functools.partial(torch.amp.GradScaler, 'cpu')
    monkeypatch.setattr(amp, 'GradScaler', scaler)


SCALED = dict(
    type='AmpOptimWrapper', dtype='bfloat16',
    loss_scale=dict(init_scale=1024.0, growth_interval=3))


@pytest.mark.usefixtures('_float16_on_a_cpu')
def test_a_loss_scale_changes_nothing_for_either_side(tmp_path):
    clip = dict(max_norm=0.1)
    for name, wrapper in (
        ('scaled', SCALED),
        ('plain', dict(type='mmkd_ext.Bf16OptimWrapper')),
    ):
        runner = toys.train(config(tmp_path / name, length=5, interval=5, wrapper=dict(
            wrapper, clip_grad=clip, discriminator=dict(clip_grad=clip))))
        if name == 'scaled':
            # it grew once, after three good steps, and not by the second optimizer
            assert runner.optim_wrapper.loss_scaler.get_scale() == 2048.0
    scaled, plain = (
        torch.load(tmp_path / name / 'iter_5.pth', weights_only=True)
        for name in ('scaled', 'plain'))
    theirs = flat(plain['state_dict'])
    for name, value in flat(scaled['state_dict']).items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.usefixtures('_float16_on_a_cpu')
def test_an_overflow_of_one_side_leaves_its_step_out_and_halves_the_scale_once(
    tmp_path,
):
    scale = dict(SCALED, loss_scale=dict(init_scale=2.0**100, growth_interval=100))
    model = holistic()
    # the student's gradient times 2**100 is beyond float32, the discriminator's is not
    model['distiller']['links']['loss_holistic']['loss']['loss_weight'] = 1e20
    hooks = [dict(type='KeepBoth')]
    runner, states = train_and_keep(
        config(tmp_path, model=model, length=3, wrapper=scale, hooks=hooks))
    assert runner.optim_wrapper.loss_scaler.get_scale() == 2.0**97
    moved = different(states[0][0], states[2][0])
    learned = {name for name in moved if 'running' not in name and 'num_' not in name}
    assert any('discriminator' in name for name in learned)
    assert not any('architecture' in name for name in learned)


# ---- refused ------------------------------------------------------------------------


SCHEDULE = dict(type='mmkd_ext.DiscriminatorScheduler', scheduler='PolyLR')


@pytest.mark.parametrize(('make', 'model', 'schedulers', 'told'), [
    # a discriminator without an optimizer, an optimizer or a schedule without one
    (toys.config, holistic(), [], CONSTRUCTOR),
    (config, toys.distillation(), [], 'no link has a discriminator'),
    (toys.config, toys.distillation(), [SCHEDULE], CONSTRUCTOR)])
def test_discriminator_optimizer_and_schedule_need_each_other(
        tmp_path, make, model, schedulers, told):
    cfg = make(tmp_path, model=copy.deepcopy(model), length=1)
    cfg.param_scheduler = schedulers
    with pytest.raises(ConfigError, match=told):
        toys.train(cfg)


class Strange(OptimWrapper):
    """Goes backward in its own way."""

    def backward(self, loss, **kwargs):
        loss.sum().backward(**kwargs)


@pytest.mark.parametrize(('changes', 'told'), [
    (dict(discriminator=dict(optimiser={})), 'Did you mean `optimizer`'),
    (dict(type=Strange), 'Strange')])
def test_a_wrapper_that_cannot_have_a_discriminator_is_refused(changes, told):
    with pytest.raises(ConfigError, match=told):
        AdversarialOptimWrapperConstructor(
            dict(optimizer=dict(type='SGD', lr=1), **changes))
