"""A run that is stopped and resumed equals one that never stopped, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import engine_toys as toys
import pytest
import torch

TRAIN = Path(__file__).parents[2] / 'tools' / 'train.py'
KEYS = ('loss', 'student.loss_ce', 'distill.loss_cwd', 'lr', 'acc')


def weights(path):
    """All tensors that matter of a checkpoint, flat."""
    content = torch.load(path, weights_only=True)
    found = {f'model.{k}': v for k, v in content['state_dict'].items()}
    for k, v in content.get('ema_state_dict', {}).items():
        found[f'ema.{k}'] = v
    for number, state in content['optimizer']['state'].items():
        for k, v in state.items():
            if isinstance(v, torch.Tensor):
                found[f'optimizer.{number}.{k}'] = v
    return found


def assert_equal_runs(straight, resumed, last):
    ours, theirs = weights(straight / last), weights(resumed / last)
    assert ours.keys() == theirs.keys()
    different = [k for k in ours if not torch.equal(ours[k], theirs[k])]
    assert not different
    student = last.replace('.pth', '_student.pth')
    a, b = (
        torch.load(x / student, weights_only=True)['state_dict']
        for x in (straight, resumed))
    assert all(torch.equal(a[k], b[k]) for k in a)
    # the resumed run logs again what came after its checkpoint: the same
    expected = toys.logged(straight, *KEYS)
    assert expected
    assert toys.logged(resumed, *KEYS) == expected


def interrupted(folder, at, resume_with=None, **settings):
    """Trains, stops after ``at`` iterations, resumes from the last checkpoint."""
    first = toys.config(folder, **settings)
    first.custom_hooks.append(dict(type='StopAfter', iteration=at))
    with pytest.raises(toys.Stop):
        toys.train(first)
    again = toys.config(folder, **{**settings, **(resume_with or {})})
    again.resume = True
    return toys.train(again)


BY_EPOCH = dict(by_epoch=True, length=3, interval=1)
EMA = [dict(type='EMAHook', momentum=0.1)]
CASES = {
    'by iteration': (8, {}),
    'by iteration, in another pass over the data': (
        8,
        dict(sampler='DefaultSampler', dataset=dict(length=7))),
    'with validation between': (8, dict(val_interval=2)), 'by epoch': (11, BY_EPOCH),
    'by epoch, validated': (11, dict(BY_EPOCH, val_interval=1, save_best='acc')),
    'in the middle of an epoch': (
        6,
        dict(BY_EPOCH, checkpoint=dict(by_epoch=False), interval=5)),
    'averaged weights': (8, dict(hooks=EMA)),
    'schedule and connectors': (
        8,
        dict(model=toys.distillation(adapt=True, schedule=dict(type='linear', end=8)))),
    'accumulated gradients': (5, dict(wrapper=dict(accumulative_counts=3))),
    'mixed precision': (8, dict(wrapper=dict(type='mmkd_ext.Bf16OptimWrapper')))}


@pytest.mark.parametrize('case', CASES)
def test_resumed_equals_uninterrupted(case, tmp_path):
    at, settings = CASES[case]
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    last = toys.train(toys.config(straight, **settings)).message_hub.get_info(
        'last_ckpt')
    interrupted(resumed, at, **settings)
    assert_equal_runs(straight, resumed, Path(last).name)


def test_a_seed_that_nobody_chose_is_resumed(tmp_path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    teacher = toys.save_teacher(tmp_path / 'teacher.pth')
    model = dict(toys.distillation(), teacher_ckpt=teacher)
    # the resumed run is built with another seed and must take the first one's
    interrupted(resumed, 8, model=model, randomness=dict(seed=None))
    meta = torch.load(resumed / 'iter_3.pth', weights_only=True)['meta']
    chosen = dict(seed=meta['seed'])
    toys.train(toys.config(straight, model=model, randomness=chosen))
    assert_equal_runs(straight, resumed, 'iter_9.pth')


def test_the_number_of_workers_changes_nothing(tmp_path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    toys.train(toys.config(straight, by_epoch=True, length=3, interval=1))
    interrupted(
        resumed, 10, by_epoch=True, length=3, interval=1, workers=2,
        resume_with=dict(workers=1))
    assert_equal_runs(straight, resumed, 'epoch_3.pth')


def test_a_resumed_run_does_not_load_what_it_has_seen(tmp_path, monkeypatch):
    loaded = []
    original = toys.ToyPixels.__getitem__
    monkeypatch.setattr(
        toys.ToyPixels, '__getitem__',
        lambda self, i: loaded.append(i) or original(self, i))
    interrupted(tmp_path, 8)
    # 8 batches before the stop; the checkpoint is of iteration 6, and 3 were left
    assert len(loaded) == (8 + 3) * 3


def test_a_validation_that_was_cut_off_is_made_up(tmp_path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    settings = dict(val_interval=3, save_best='acc', length=6)
    toys.train(toys.config(straight, **settings))
    # stops at iteration 6 after saving, before validating
    interrupted(resumed, 6, **settings)
    expected = toys.logged(straight, 'acc')
    assert len(expected) == 2
    assert toys.logged(resumed, 'acc') == expected
    names = {p.name for p in straight.glob('best_*')}
    assert names
    assert {p.name for p in resumed.glob('best_*')} == names


@pytest.mark.parametrize('by_epoch', [False, True], ids=['by iteration', 'by epoch'])
def test_a_killed_run_goes_on_from_its_last_checkpoint(by_epoch, tmp_path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    steps = dict(
        by_epoch=by_epoch, length=10 if by_epoch else 40, interval=1 if by_epoch else 2,
        checkpoint=dict(max_keep_ckpts=2), hooks=EMA, val_interval=None)
    toys.train(toys.config(straight, **steps))

    progress = tmp_path / 'progress'
    pace = [dict(type='ToyPace', pause=0.05, file=str(progress))]
    cfg = toys.config(resumed, **{**steps, 'hooks': [*EMA, *pace]})
    file = tmp_path / 'toy.py'
    cfg.dump(str(file))
    command = [sys.executable, str(TRAIN), str(file), '--no-check']
    process = subprocess.Popen(
        command, env=toys.environment(), cwd=tmp_path, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 90
        while not (progress.exists() and int(progress.read_text() or 0) >= 9):
            assert process.poll() is None, process.stderr.read().decode()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.random())  # any moment, also while a file is written
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (resumed / ('epoch_10.pth' if by_epoch else 'iter_40.pth')).exists()
    for saved in resumed.glob('*.pth'):
        torch.load(saved, weights_only=True)  # none is half written

    again = toys.config(resumed, **steps)
    again.resume = True
    toys.train(again)
    assert_equal_runs(straight, resumed, 'epoch_10.pth' if by_epoch else 'iter_40.pth')
    # nothing is left over from the moment of the kill
    assert not list(resumed.glob('.*.part'))
    ours = {p.name for p in straight.glob('*.pth')}
    assert {p.name for p in resumed.glob('*.pth')} == ours
    assert os.path.getsize(resumed / 'last_checkpoint') > 0


def test_stopped_and_resumed_mutual_learning_equals_one_that_was_not(tmp_path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    settings = dict(model=toys.mutual(), hooks=[dict(type='EMAHook', momentum=0.1)])
    settings['checkpoint'] = dict(max_keep_ckpts=2)
    toys.train(toys.config(straight, **settings))
    interrupted(resumed, 8, **settings)
    assert_equal_runs(straight, resumed, 'iter_9.pth')
    # each has its file, those of removed checkpoints are gone
    names = {path.name for path in resumed.glob('*.pth')}
    assert names == {
        f'iter_{i}{end}.pth'
        for i in (6, 9) for end in ('', '_student', '_wide', '_wider')}
    for name, width in dict(student=4, wide=8, wider=12).items():
        content = torch.load(resumed / f'iter_9_{name}.pth', weights_only=True)
        toys.ToyNet(width=width).load_state_dict(content['state_dict'], strict=True)
        assert f'width={width}' in content['meta']['cfg']
