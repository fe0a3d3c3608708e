"""The steps of an experiment, with small programs in the place of the tools."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from experiment_kit.experiment import (
    ExperimentRunner,
    Outcome,
    Run,
    load_experiment,
)
from experiment_kit.grid import load_grid
from experiment_kit.results import results
from experiment_kit.runner import StepError, run_command, stop_on_signals
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


def test_a_run_may_have_options_of_its_own(place):
    Path('toy.py').write_text(textwrap.dedent(EXPERIMENT).replace(
        "teacher='teacher'", "teacher='teacher', options={'model.weight': 0.5}"))
    experiment = load_experiment('toy.py')
    outcomes = runner().run(experiment, 7)
    assert ['model.weight=0.5' in line for line in calls('train')] == [
        False, False, True]
    runs = results(experiment, {7: outcomes})['runs']
    assert runs['distilled']['options'] == {'model.weight': 0.5}


def test_what_is_done_is_not_done_again(place):
    experiment = load_experiment('toy.py')
    first = runner().run(experiment, 3)
    before = calls()
    assert runner().run(experiment, 3) == first
    assert calls() == before


def test_fresh_does_all_again(place):
    experiment = load_experiment('toy.py')
    runner().run(experiment, 3)
    runner(fresh=True).run(experiment, 3)
    assert len(calls('train')) == 6


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


def test_a_changed_config_trains_what_hangs_on_it_and_nothing_else(place):
    experiment = load_experiment('toy.py')
    runner().run(experiment, 3)
    Path('teacher.py').write_text('x = 2\n')
    runner().run(experiment, 3)
    again = [line.split()[1] for line in calls('train')[3:]]
    assert again == ['teacher.py', 'distilled.py']


def test_other_data_train_everything_anew(place):
    experiment = load_experiment('toy.py')
    runner(data='a').run(experiment, 3)
    runner(data='b').run(experiment, 3)
    assert len(calls('train')) == 6


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


@pytest.mark.parametrize('jobs', [1, 2])
def test_keep_going_loses_only_the_run_that_failed(place, jobs):
    let_fail('student.py')
    one = runner(keep_going=True, jobs=jobs)
    outcomes = one.run(load_experiment('toy.py'), 3)
    assert [o.run.name for o in outcomes] == ['teacher', 'distilled']
    assert [(f.run.name, f.seed) for f in one.failures] == [('student', 3)]
    assert 'it does not work' in str(one.failures[0].why)
    Path('tools/train.py').write_text(textwrap.dedent(TRAIN))
    before = len(calls('train'))
    assert len(runner().run(load_experiment('toy.py'), 3)) == 3
    assert len(calls('train')) == before + 1


def test_keep_going_loses_what_needs_the_teacher_that_failed(place):
    let_fail('teacher.py')
    one = runner(keep_going=True)
    outcomes = one.run(load_experiment('toy.py'), 3)
    assert [o.run.name for o in outcomes] == ['student']
    assert [f.run.name for f in one.failures] == ['teacher', 'distilled']


def test_a_stopped_run_of_another_config_is_not_resumed(place):
    experiment = load_experiment('toy.py')
    Path('break').touch()
    with pytest.raises(StepError):
        runner().run(experiment, 3)
    Path('break').unlink()
    Path('teacher.py').write_text('x = 2\n')
    runner().run(experiment, 3)
    assert '--resume' not in calls('train')[1]


def test_files_of_somebody_else_are_not_removed(place):
    treasure = Path('work/teacher/treasure.txt')
    treasure.parent.mkdir(parents=True)
    treasure.touch()
    with pytest.raises(ConfigError, match='not of this experiment'):
        runner(fresh=True).run(load_experiment('toy.py'), 3)
    assert treasure.exists()


def test_progress_is_what_the_training_itself_has_logged(tmp_path, monkeypatch):
    logged, folder = [], tmp_path / 'student'
    monkeypatch.chdir(tmp_path)
    Path('student.py').write_text('train_cfg = dict(max_iters=200)\n')
    progress = runner(logged.append)._progress(Run('student', 'student.py'), folder)
    progress()
    log = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('{"loss": 0.5, "time": 0.5, "step": 50}\n{"loss": 0.25, "st')
    progress()
    progress()
    assert logged == ['  student: 50/200 iterations, loss 0.5000, 1:15 left']


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
    is_grid = 'methods = ' in path.read_text()
    experiment = (load_grid if is_grid else load_experiment)(path)
    assert experiment.name == path.stem


def test_a_missing_file_suggests_its_neighbour(place):
    with pytest.raises(ConfigError, match=r'Did you mean `toy\.py`'):
        load_experiment('toi.py')


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


def test_a_killed_command_is_told_as_such(tmp_path):
    program = 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)'
    with pytest.raises(StepError, match='signal 9'):
        run_command([sys.executable, '-c', program], log_file=tmp_path / 'log',
                    name='x')


def test_the_log_begins_with_the_command(tmp_path):
    run_command([sys.executable, '-c', 'print("hi there")'], log_file=tmp_path / 'log',
                name='x')
    lines = (tmp_path / 'log').read_text().splitlines()
    assert lines[0].startswith(f'$ {sys.executable} -c')
    assert lines[1] == 'hi there'
    done = subprocess.run(lines[0][2:], shell=True, capture_output=True, text=True,
                          check=True)
    assert done.stdout == 'hi there\n'


def test_what_is_noted_is_json(place):
    runner().run(load_experiment('toy.py'), 3)
    note = json.loads(Path('work/student/trained.json').read_text())
    assert set(note) == {'mark', 'seconds'}


def test_a_student_file_is_preferred_where_there_is_one(tmp_path):
    outcome = Outcome(Run('x', 'x.py'), 0, tmp_path, tmp_path / 'iter_5.pth', 1.0, {})
    assert outcome.student == outcome.checkpoint
    (tmp_path / 'iter_5_student.pth').touch()
    assert outcome.student.name == 'iter_5_student.pth'
