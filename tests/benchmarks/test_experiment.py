"""The steps of an experiment, with small programs in the place of the tools."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

from experiment_kit.experiment import ExperimentRunner, load_experiment
from experiment_kit.grid import load_grid
from experiment_kit.results import results
from experiment_kit.runner import StepError, run_command
from mmkd_ext.engine.steps import stop_on_signals
from mmkd_ext.errors import CheckpointError, ConfigError

ROOT = Path(__file__).parents[2]
TRAIN = """
    import json, os, pathlib, sys
    arguments = sys.argv[1:]
    folder = pathlib.Path(arguments[arguments.index('--work-dir') + 1])
    folder.mkdir(parents=True, exist_ok=True)
    with open('calls.txt', 'a') as calls:
        calls.write('train ' + ' '.join(arguments) + chr(10))
    (folder / 'iter_5.pth').write_text('half')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_5.pth'))
    if os.path.exists('break'):
        print('the disk is full')
        sys.exit(3)
    (folder / 'iter_10.pth').write_text('whole')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_10.pth'))
"""
TEST = """
    import json, pathlib, sys
    arguments = sys.argv[1:]
    with open('calls.txt', 'a') as calls:
        calls.write('test ' + ' '.join(arguments) + chr(10))
    work = pathlib.Path(arguments[arguments.index('--work-dir') + 1])
    folder = work / '20260101_000000'
    folder.mkdir(parents=True)
    value = {'teacher': 50.0, 'student': 30.0, 'distilled': 33.0}
    name = work.parent.name
    (folder / '20260101_000000.json').write_text(json.dumps({'mIoU': value[name]}))
"""
EXPERIMENT = """
    name = 'toy'
    runs = dict(
        teacher=dict(config='teacher.py', once=True),
        student=dict(config='student.py'),
        distilled=dict(config='distilled.py', teacher='teacher'),
    )
    tests = dict(val={}, dusk={'test_dataloader.dataset.ann_file': 'dusk.txt'})
    seeds = (7, 8)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('tools').mkdir()
    Path('tools/train.py').write_text(textwrap.dedent(TRAIN))
    Path('tools/test.py').write_text(textwrap.dedent(TEST))
    Path('toy.py').write_text(textwrap.dedent(EXPERIMENT))
    for name in ('teacher', 'student', 'distilled'):
        Path(f'{name}.py').write_text('x = 1\n')
    return tmp_path


def calls(kind=''):
    path = Path('calls.txt')
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if line.startswith(kind)]


def runner(log=lambda line: None, **kwargs):
    return ExperimentRunner('work', log=log, **kwargs)


def test_trains_and_tests_every_run_in_order_and_hands_on_the_teacher(place):
    outcomes = runner().run(load_experiment('toy.py'), 3)
    assert [o.run.name for o in outcomes] == ['teacher', 'student', 'distilled']
    assert [o.metrics['val']['mIoU'] for o in outcomes] == [50.0, 30.0, 33.0]
    assert all('randomness.seed=3' in line for line in calls('train'))
    teachers = [line for line in calls() if 'model.teacher_ckpt' in line]
    assert len(teachers) == 1
    assert teachers[0].startswith('train distilled.py')
    assert 'model.teacher_ckpt=work/teacher/iter_10.pth' in teachers[0]
    assert len([line for line in calls('test') if 'dusk.txt' in line]) == 3


def test_a_part_of_the_runs_brings_what_it_needs(place):
    experiment = load_experiment('toy.py')
    assert [r.name for r in experiment.only(['distilled']).runs] == [
        'teacher', 'distilled']
    assert [r.name for r in experiment.only(['student']).runs] == ['student']
    with pytest.raises(ConfigError, match=r"no run 'distiled'.*`distilled`"):
        experiment.only(['distiled'])


def test_a_teacher_of_others_is_tested_and_handed_on_but_not_trained(place):
    Path('toy.py').write_text(textwrap.dedent(EXPERIMENT).replace(
        "config='teacher.py'", "config='teacher.py', checkpoint='theirs.pth'"))
    experiment = load_experiment('toy.py')
    with pytest.raises(CheckpointError, match=r"no file 'theirs\.pth'"):
        runner().run(experiment, 3)
    Path('theirs.pth').write_text('weights')
    outcomes = runner().run(experiment, 3)
    assert outcomes[0].seconds == 0
    assert outcomes[0].metrics['val'] == {'mIoU': 50.0}
    assert not [line for line in calls('train') if 'teacher.py' in line]
    last, = calls('train distilled.py')
    assert 'model.teacher_ckpt=theirs.pth' in last
    done = calls()
    runner().run(experiment, 3)
    assert calls() == done
    Path('theirs.pth').write_text('other weights')
    runner().run(experiment, 3)
    assert len(calls('train distilled.py')) == 2


def test_a_second_stage_takes_the_first_ones_checkpoint(place):
    Path('toy.py').write_text(textwrap.dedent(EXPERIMENT).replace(
        'student=dict', "one=dict(config='one.py', once=True, tested=False),\n    "
        'student=dict',
    ).replace("teacher='teacher'", "teacher='teacher', takes={'model.x': 'one'}"))
    Path('one.py').write_text('x = 1\n')
    experiment = load_experiment('toy.py')
    outcomes = runner(jobs=3).run(experiment, 7, folder='seed7')
    last, = calls('train distilled.py')
    assert 'model.x=work/one/iter_10.pth' in last
    assert not calls('test one.py')
    assert 'one' not in results(experiment, {7: outcomes})['runs']
    # the second stage is done again when the first one changes
    Path('one.py').write_text('x = 2\n')
    runner().run(experiment, 7, folder='seed7')
    again = [line.split()[1] for line in calls('train')[4:]]
    assert again == ['one.py', 'distilled.py']


@pytest.mark.parametrize(('change', 'policy', 'again'), [
    ('', {}, []), ('teacher.py', {}, ['teacher.py', 'distilled.py']),
    ('', dict(fresh=True), ['teacher.py', 'student.py', 'distilled.py']),
    ('', dict(data='b'), ['teacher.py', 'student.py', 'distilled.py'])])
def test_what_is_done_is_kept_unless_what_it_hangs_on_has_changed(
        place, change, policy, again):
    experiment = load_experiment('toy.py')
    first = runner(data='a').run(experiment, 3)
    if change:
        Path(change).write_text('x = 2\n')
    before = len(calls('train'))
    outcomes = runner(**{'data': 'a', **policy}).run(experiment, 3)
    assert again or outcomes == first
    assert [line.split()[1] for line in calls('train')[before:]] == again


def test_a_shared_run_is_trained_once_for_all_seeds_with_the_first(place):
    experiment = load_experiment('toy.py')
    one = runner(fresh=True)
    for seed in (7, 8):
        one.run(experiment, seed, folder=f'seed{seed}')
    trained = [line.split()[1] for line in calls('train')]
    assert trained == ['teacher.py', *2 * ['student.py', 'distilled.py']]
    assert 'randomness.seed=7' in calls('train')[0]


def test_a_finished_training_outlives_its_config_and_is_named(place):
    experiment, logged = load_experiment('toy.py'), []
    runner().run(experiment, 3)
    kept = Path('work/student/iter_10.pth').read_text()
    Path('student.py').write_text('x = 2\n')
    runner(logged.append).run(experiment, 3)
    old = Path('work/outdated/student-1')
    assert (old / 'iter_10.pth').read_text() == kept
    assert any('work/student: ' in line and str(old) in line for line in logged)
    runner(fresh=True).run(experiment, 3)
    assert {path.name for path in Path('work/outdated').iterdir()} == {
        'student-1', 'student-2', 'teacher-1', 'distilled-1'}


def test_a_failed_step_names_the_command_and_the_log_and_goes_on_later(place):
    experiment = load_experiment('toy.py')
    Path('break').touch()
    with pytest.raises(StepError) as caught:
        runner().run(experiment, 3)
    message = str(caught.value)
    assert 'exit status 3' in message
    assert 'tools/train.py teacher.py' in message
    assert str(Path('work/teacher/train.log')) in message
    assert 'the disk is full' in message
    Path('break').unlink()
    runner().run(experiment, 3)
    assert '--resume' in calls('train')[1]
    assert '--resume' not in calls('train')[2]


def test_side_by_side_comes_out_the_same_and_a_student_waits_for_its_teacher(place):
    experiment = load_experiment('toy.py')
    outcomes = runner(jobs=2).run(experiment, 3)
    assert [o.metrics['val']['mIoU'] for o in outcomes] == [50.0, 30.0, 33.0]
    order = [line.split()[1] for line in calls()]
    assert order.index('distilled.py') > order.index('teacher.py')
    assert runner().run(experiment, 3) == outcomes


def test_a_failed_step_ends_what_goes_on_beside_it(place):
    Path('tools/train.py').write_text(textwrap.dedent("""
        import os, pathlib, sys, time
        if sys.argv[1] == 'student.py':
            pathlib.Path('pid').write_text(str(os.getpid()))
            time.sleep(60)
        while not os.path.exists('pid'):
            time.sleep(0.05)
        sys.exit(3)
    """))
    started = time.monotonic()
    with pytest.raises(StepError, match='`train teacher` failed with exit status 3'):
        runner(jobs=2).run(load_experiment('toy.py'), 3)
    assert time.monotonic() - started < 30
    assert not _runs(int(Path('pid').read_text()))


FAILS = """
    if sys.argv[1] == 'NAME':
        print('it does not work')
        sys.exit(3)
"""


def let_fail(name):
    first, rest = textwrap.dedent(TRAIN).split('arguments =', 1)
    fails = textwrap.dedent(FAILS).replace('NAME', name)
    Path('tools/train.py').write_text(f'{first}{fails}arguments ={rest}')


@pytest.mark.parametrize(('jobs', 'name', 'done'), [
    (1, 'student', ['teacher', 'distilled']), (2, 'student', ['teacher', 'distilled']),
    (1, 'teacher', ['student'])])
def test_keep_going_loses_the_run_that_failed_and_what_needs_it(
        place, jobs, name, done):
    let_fail(f'{name}.py')
    one = runner(keep_going=True, jobs=jobs)
    outcomes = one.run(load_experiment('toy.py'), 3)
    assert [o.run.name for o in outcomes] == done
    lost = [run for run in ('teacher', 'student', 'distilled') if run not in done]
    assert [(f.run.name, f.seed) for f in one.failures] == [(run, 3) for run in lost]
    assert 'it does not work' in str(one.failures[0].why)
    Path('tools/train.py').write_text(textwrap.dedent(TRAIN))
    before = len(calls('train'))
    assert len(runner().run(load_experiment('toy.py'), 3)) == 3
    assert len(calls('train')) == before + len(lost)


def test_files_of_somebody_else_are_not_removed(place):
    treasure = Path('work/teacher/treasure.txt')
    treasure.parent.mkdir(parents=True)
    treasure.touch()
    with pytest.raises(ConfigError, match='not of this work'):
        runner(fresh=True).run(load_experiment('toy.py'), 3)
    assert treasure.exists()


def test_all_problems_of_a_file_are_told_together(place):
    Path('bad.py').write_text(textwrap.dedent("""
        nam = 'x'
        runs = dict(
            a=dict(config='gone.py', techer='b'),
            b=dict(config='student.py', teacher='c'),
            d=dict(config='student.py', takes={'model.x': 'e'}),
        )
    """))
    with pytest.raises(ConfigError) as caught:
        load_experiment('bad.py')
    text = str(caught.value)
    for words in ('`nam`', 'Did you mean `name`', '`runs.a.config`', "'gone.py'",
                  '`runs.a.techer`', '`runs.b.teacher`', '`runs.d.takes.model.x`'):
        assert words in text


@pytest.mark.parametrize('path', sorted((ROOT / 'benchmarks/experiments').glob('*.py')),
                         ids=lambda path: path.stem)
def test_the_configs_of_a_shipped_experiment_are_there(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    # a grid of adaptations, or trainings
    is_grid = path.stem.startswith('adapt_')
    experiment = (load_grid if is_grid else load_experiment)(path)
    assert experiment.name == path.stem


def test_a_command_does_not_outlive_the_call_that_is_interrupted(tmp_path):
    program = textwrap.dedent("""
        import subprocess, sys, time
        sleep = 'import time; time.sleep(60)'
        print(subprocess.Popen([sys.executable, '-c', sleep]).pid, flush=True)
        time.sleep(60)
    """)
    log, started = tmp_path / 'log', time.monotonic()

    def stop():
        if log.read_text().splitlines()[-1].isdigit():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_command([sys.executable, '-c', program], log_file=log, name='x',
                    progress=stop, every=0.1)
    assert time.monotonic() - started < 20
    pid = int(log.read_text().splitlines()[-1])
    for _ in range(50):
        if not _runs(pid):
            break
        time.sleep(0.1)
    assert not _runs(pid)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f'/proc/{pid}/stat')
    return not state.exists() or state.read_text().split()[2] != 'Z'


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_end_is_like_ctrl_c(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_on_signals():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before
