"""Chains of trainings: what is refused, what is kept, and what goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch

from mmkd_ext.cli import chain
from mmkd_ext.errors import ConfigError, MMKDError

TASK = """
    custom_imports = dict(imports=['mmkd_ext.testing.toy', 'slow_hook'])
    train_dataloader = dict(
        batch_size=2, num_workers=0, dataset=dict(type='mmkd_ext.ToyDataset'),
        sampler=dict(type='InfiniteSampler', shuffle=True))
    train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=99)
    optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
    default_hooks = dict(checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook', by_epoch=False, interval=2))
    custom_hooks = [dict(type='mmkd_ext.ReproducibleStepHook'), dict(type='SlowHook')]
    randomness = dict(seed=0)
    log_level = 'ERROR'
    student = dict(type='mmkd_ext.ToyModel', channels=4)
    model = dict(type='mmkd_ext.ToyModel', channels=8)
"""
DISTILLED = """
    _base_ = './teacher.py'
    tap = 'head.conv_seg'
    model = dict(
        _delete_=True, type='mmkd_ext.TeacherDistill', architecture=_base_.student,
        teacher=_base_.model, teacher_ckpt='gone.pth',
        distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss'), preds_S=dict(of='student', at=tap),
            preds_T=dict(of='teacher', at=tap)))))
"""
CHAIN = """
    chain = [
        dict(name='teacher', config='teacher.py'),
        dict(name='student', config='student.py', teacher='teacher'),
    ]
"""
# waits in a training that was started with SLOW
HOOK = """
    import os, pathlib, time
    from mmengine.hooks import Hook
    from mmengine.registry import HOOKS

    @HOOKS.register_module()
    class SlowHook(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            slow = os.environ.get('SLOW') and 'student' in runner.work_dir
            if slow and runner.iter == 2:
                part = pathlib.Path(os.environ['SLOW'] + '.part')
                part.write_text(str(os.getpid()))
                part.rename(os.environ['SLOW'])
                time.sleep(600)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    root = Path(__file__).parents[2]
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}{os.pathsep}{root}')
    Path('configs').mkdir()
    for name, text in {
        'configs/teacher.py': TASK,
        'configs/student.py': DISTILLED,
        'configs/toy.py': CHAIN,
        'slow_hook.py': HOOK,
    }.items():
        Path(name).write_text(textwrap.dedent(text))
    return tmp_path


@pytest.fixture
def trained(place, monkeypatch):
    """Names and options of the steps that were trained, which takes no time here."""
    calls = []

    def train(step, folder, options, gpus):
        calls.append((step.name, options))
        if Path('break').exists():
            raise MMKDError('broken')
        files = ('iter_4.pth', 'iter_4_student.pth')
        for name in files[: 1 + ('student' in step.name)]:
            (folder / name).write_text(step.name)
        (folder / 'last_checkpoint').write_text(str(folder / 'iter_4.pth'))

    monkeypatch.setattr(chain, '_train', train)
    monkeypatch.setattr(
        chain, 'check_steps',
        lambda steps: {s.name: Path(s.config).read_text() for s in steps})
    return calls


def write(*steps):
    Path('configs/toy.py').write_text(f'chain = {list(steps)!r}')


def run(*arguments):
    return chain.main(['configs/toy.py', *arguments])


def test_a_stopped_chain_goes_on_to_the_end_as_if_never_stopped(place, monkeypatch):
    child, done = place / 'child', threading.Event()

    def stop():
        while not done.wait(0.05):
            if child.exists():
                os.kill(os.getpid(), signal.SIGTERM)
                return

    monkeypatch.setenv('SLOW', str(child))
    watch = threading.Thread(target=stop)
    watch.start()
    try:
        assert run() == 130
    finally:
        done.set()
        watch.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
    student, teacher = Path('work_dirs/toy/student'), Path('work_dirs/toy/teacher')
    assert (student / 'iter_2.pth').exists()
    assert not (student / 'iter_4.pth').exists()
    before = (teacher / 'iter_4.pth').stat().st_mtime_ns
    monkeypatch.delenv('SLOW')
    assert run() == 0
    assert (teacher / 'iter_4.pth').stat().st_mtime_ns == before
    # the same training, never stopped, in this process
    from mmengine.runner import Runner

    from mmkd_ext.engine.launch import load_config

    cfg = load_config('configs/student.py', {
        'model.teacher_ckpt': str(teacher / 'iter_4.pth'), 'work_dir': 'straight'})
    Runner.from_cfg(cfg).train()
    ours, theirs = (
        torch.load(folder / 'iter_4_student.pth', weights_only=True)['state_dict']
        for folder in (student, Path('straight')))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_training_ends_with_a_chain_that_is_killed(tmp_path):
    training = tmp_path / 'python'
    training.write_text(f'#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n')
    training.chmod(0o755)
    text = f"""
        import sys
        from mmkd_ext.cli import chain
        sys.executable = {str(training)!r}
        chain._train(chain.Step('a', 'a.py', {{}}, {{}}), 'a', [], 0)
    """
    parent = subprocess.Popen([sys.executable, '-c', textwrap.dedent(text)])
    pid = tmp_path / 'pid'
    while not (pid.exists() and pid.read_text().endswith('\n')):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    child = Path('/proc', pid.read_text().strip(), 'cmdline')
    for _ in range(100):
        # what has ended and waits for a new parent has no command line any more
        if not child.exists() or not child.read_text():
            return
        time.sleep(0.05)
    pytest.fail('the training goes on')


def test_a_teacher_is_handed_on_and_what_is_done_is_kept(trained, capsys):
    write(
        dict(name='gen0', config='teacher.py', options={'train_cfg.max_iters': 9}),
        *(dict(name=f'gen{i}_student', config='student.py',
               teacher='gen0' if i == 1 else 'gen1_student') for i in (1, 2)))
    assert run('--work-dir', 'w') == 0
    assert trained == [
        ('gen0', ['train_cfg.max_iters=9']),
        ('gen1_student', ['model.teacher_ckpt=w/gen0/iter_4.pth']),
        ('gen2_student', ['model.teacher_ckpt=w/gen1_student/iter_4_student.pth'])]
    assert '[3/3] gen2_student: trained' in capsys.readouterr().out
    assert run('--work-dir', 'w') == 0
    assert len(trained) == 3
    assert '[1/3] gen0: kept' in capsys.readouterr().out


def test_what_hangs_on_a_changed_step_is_trained_anew_and_the_old_is_kept(trained):
    assert run() == 0
    Path('configs/student.py').write_text('# changed')
    assert run() == 0
    assert [name for name, _ in trained] == ['teacher', 'student', 'student']
    Path('configs/teacher.py').write_text('# changed')
    assert run() == 0
    assert [name for name, _ in trained[3:]] == ['teacher', 'student']
    old = Path('work_dirs/toy/outdated')
    assert sorted(p.name for p in old.iterdir()) == [
        'student-1', 'student-2', 'teacher-1']
    assert run('--fresh') == 0
    assert len(trained) == 7


def test_a_failed_step_stops_the_chain_and_is_not_taken_for_done(trained, capsys):
    Path('break').touch()
    assert run() == 2
    assert 'broken' in capsys.readouterr().err
    Path('break').unlink()
    assert run() == 0
    assert [name for name, _ in trained] == ['teacher', 'teacher', 'student']


def test_a_checkpoint_that_is_gone_is_named(trained, capsys):
    assert run() == 0
    Path('work_dirs/toy/teacher/iter_4.pth').unlink()
    assert run() == 2
    assert 'iter_4.pth' in capsys.readouterr().err


T = dict(name='teacher', config='teacher.py')


@pytest.mark.parametrize(('steps', 'where', 'message'), [
    ([], 'chain', 'no steps'),
    (['teacher.py'], 'chain', 'list of dicts'),
    ([dict(T, nmae='x')], 'chain[0].nmae', 'name'),
    ([dict(name='x')], 'chain[0]', "needs ['config']"),
    ([T, T], 'chain[1].name', 'teacher'),
    *(([dict(T, name=name)], 'chain[0].name', 'folder')
      for name in ('a/b', 'outdated', '', '..')),
    ([T, dict(T, name='s', teacher='techer')], 'chain[1].teacher', '`teacher`'),
    ([dict(T, teacher='s'), dict(T, name='s', teacher='teacher')],
     'chain[0].teacher', 'those that stand before it'),
    ([dict(T, options=['a=1'])], 'chain[0].options', 'must be a dict'),
    ([dict(T, teacher='teacher')], 'chain[0].teacher', "no step 'teacher' before"),
    ([dict(T, teacher={'model.teachers.a.ckpt': 'b'})], 'chain[0].teacher', "'b'"),
])  # fmt: skip
def test_a_wrong_chain_is_refused_before_anything_is_trained(
        trained, capsys, steps, where, message):
    write(*steps)
    assert run() == 2
    shown = capsys.readouterr().err
    assert where in shown
    assert message in shown
    assert not trained


def test_a_number_of_gpus_below_none_is_refused(trained, capsys):
    assert run('--gpus', '-2') == 2
    assert '`--gpus` must be an integer >= 0' in capsys.readouterr().err
    assert not trained


def test_problems_of_all_configs_are_listed_before_the_first_training(place):
    teacher, student = Path('configs/teacher.py'), Path('configs/student.py')
    teacher.write_text(teacher.read_text().replace('ToyDataset', 'ToyDatset'))
    student.write_text(student.read_text().replace("'head.conv_seg'", "'hd'"))
    steps = chain.read_chain('configs/toy.py')
    # on a command line a dict is a text
    options = {'optim_wrapper.optimizer': dict(lr=0.2)}
    steps.append(chain.Step('dict', 'configs/teacher.py', {}, options))
    with pytest.raises(ConfigError) as error:
        chain.check_steps([*steps, chain.Step('third', 'configs/none.py', {}, {})])
    text = str(error.value)
    assert 'teacher: train_dataloader.dataset.type' in text
    assert 'dict: optim_wrapper.optimizer' in text
    assert 'student: model.distiller.links.loss_kd.preds_T.at' in text
    assert 'none.py' in text
    # the teacher's weights are those of the step before
    assert 'gone.pth' not in text
