"""Training on several processes, over gloo on the CPU, as torchrun starts them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import engine_toys as toys
import pytest
import torch

from mmkd_ext.checkpoint import read_checkpoint
from mmkd_ext.engine.launch import build_runner, load_config, load_for_test
from mmkd_ext.engine.student import plain_config

TOOLS = Path(__file__).parents[2] / 'tools'
pytestmark = pytest.mark.skipif(
    not torch.distributed.is_gloo_available(), reason='torch was built without gloo')


def start(script, *arguments, **variables):
    env = toys.environment(PYTHON=sys.executable, **variables)
    return subprocess.Popen(
        ['bash', str(TOOLS / script), *map(str, arguments)],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(*processes):
    """Waits for all; on a failure shows what they printed."""
    printed = [p.communicate(timeout=120)[0] for p in processes]
    for process, text in zip(processes, printed):
        assert process.returncode == 0, text[-4000:]
    return printed


def ranks(folder, count=2):
    return [torch.load(folder / f'rank{i}.pt', weights_only=True) for i in range(count)]


def assert_in_step(states):
    """The processes have the same parameters (running statistics are their own)."""
    first, second = (state['state_dict'] for state in states)
    for name in first:
        if 'running' not in name:
            assert torch.equal(first[name], second[name]), name
            assert first[name].isfinite().all(), name


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A distillation whose link has weight 0 for 2 of 6 iterations, on 2 processes."""
    folder = tmp_path_factory.mktemp('ddp')
    cfg = toys.config(
        folder / 'run', length=6,
        model=toys.distillation(
            adapt=True, schedule=dict(type='constant', begin=2, end=4)),
        hooks=[
            dict(type='EMAHook', momentum=0.5),
            dict(type='mmkd_ext.FiniteLossHook'),
            dict(type='ToyDump', folder=str(folder))])
    links = cfg.model.distiller.links
    # the connector's parameters get no gradient in the last iterations
    links.loss_feature.schedule = dict(type='constant', end=3)
    file = folder / 'toy.py'
    cfg.dump(str(file))
    finish(start('dist_train.sh', file, 2, '--no-check', PORT=toys.free_port()))
    return folder


def test_processes_stay_in_step_while_links_and_connectors_rest(trained):
    assert_in_step(ranks(trained))


def test_links_rest_and_work_as_scheduled(trained):
    # the log shows the mean from the start: 0 until the link works
    values = toys.logged(trained / 'run', 'distill.loss_cwd')
    rests = [values['distill.loss_cwd', i] == 0 for i in (1, 2, 3)]
    assert rests == [True, True, False]


def test_a_checkpoint_of_many_processes_has_no_wrapper_and_no_teacher(trained):
    state = read_checkpoint(trained / 'run' / 'iter_6.pth')
    tops = {k.split('.')[0] for k in state['state_dict']}
    assert tops == {'architecture', 'distiller'}
    assert not [k for k in state['ema_state_dict'] if 'teacher' in k]
    student = torch.load(trained / 'run' / 'iter_6_student.pth', weights_only=True)
    toys.ToyNet(width=4).load_state_dict(student['state_dict'], strict=True)


def test_testing_on_two_processes_equals_testing_on_one(trained):
    config, checkpoint = trained / 'toy.py', trained / 'run' / 'iter_6.pth'
    work = trained / 'test'
    finish(start(
        'dist_test.sh', config, checkpoint, 2, '--work-dir', work, PORT=toys.free_port()
    ))
    found = json.loads(next(work.glob('*/*.json')).read_text())

    cfg = plain_config(load_config(str(config)))
    cfg.work_dir = str(trained / 'one')
    runner = build_runner(cfg)
    load_for_test(runner.model, str(checkpoint))
    assert runner.test()['acc'] == pytest.approx(found['acc'], abs=1e-6)


def test_two_launchers_leave_a_bad_batch_out_together(tmp_path):
    # one of the two processes meets the bad picture, both leave the batch out
    cfg = toys.config(
        tmp_path / 'run', length=8, interval=8, wrapper=dict(accumulative_counts=2),
        dataset=dict(nan_at=[0]), model=toys.distillation(adapt=True),
        hooks=[
            dict(type='mmkd_ext.FiniteLossHook', action='skip'),
            dict(type='ToyDump', folder=str(tmp_path))])
    file = tmp_path / 'toy.py'
    cfg.dump(str(file))
    port = toys.free_port()
    nodes = [
        start(
            'dist_train.sh', file, 1, '--no-check', NNODES='2', NODE_RANK=str(i),
            MASTER_ADDR='127.0.0.1', PORT=port)
        for i in range(2)]
    finish(*nodes)
    states = ranks(tmp_path)
    assert states[0]['skipped'] == states[1]['skipped'] > 0
    assert_in_step(states)
    for state in states:
        assert all(v.isfinite().all() for v in state['state_dict'].values())


def test_the_process_that_met_the_bad_picture_is_named(tmp_path):
    cfg = toys.config(
        tmp_path / 'run', length=8, dataset=dict(nan_at=[0]),
        hooks=[dict(type='mmkd_ext.FiniteLossHook', action='stop')])
    file = tmp_path / 'toy.py'
    cfg.dump(str(file))
    process = start('dist_train.sh', file, 2, '--no-check', PORT=toys.free_port())
    text = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert re.search(r'Iteration \d+: on process [01] `student.loss_ce` is nan', text)
    assert 'NonFiniteError' not in text  # a message, not a traceback


def test_the_launcher_says_what_it_needs():
    process = subprocess.run(
        ['bash', str(TOOLS / 'dist_train.sh')],
        text=True, capture_output=True, env=dict(os.environ, GPUS=''))
    assert process.returncode == 2
    assert 'CONFIG GPUS' in process.stderr


def test_processes_that_learn_together_stay_in_step(tmp_path):
    cfg = toys.config(
        tmp_path / 'run', length=4, model=toys.mutual(),
        hooks=[dict(type='ToyDump', folder=str(tmp_path))])
    file = tmp_path / 'toy.py'
    cfg.dump(str(file))
    finish(start('dist_train.sh', file, 2, '--no-check', PORT=toys.free_port()))
    states = ranks(tmp_path)
    assert any(key.startswith('peers.wider.') for key in states[0]['state_dict'])
    assert_in_step(states)
