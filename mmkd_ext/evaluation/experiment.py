"""An experiment: a few configs, trained and tested in order, through the tools only.

It is described by a small config file (`benchmarks/experiments/`), and every step of it
is one call of ``tools/train.py`` or ``tools/test.py`` that a person could type. A step
that is done is not done again; one that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_EXCEPTION,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    MMKDError,
    Problem,
    did_you_mean,
)
from mmkd_ext.evaluation.files import write_json
from mmkd_ext.evaluation.runs import last_checkpoint, read_metrics, student_file

__all__ = [
    'Bench',
    'Experiment',
    'Failure',
    'Outcome',
    'Run',
    'StepError',
    'Workshop',
    'load_experiment',
    'read_stamp',
    'run_command',
    'stop_on_signals',
]

Say = Callable[[str], None]
_LIVE: set[subprocess.Popen[str]] = set()
_ITERATION = re.compile(r'Iter\(train\)\s*\[\s*(\d+)/(\d+)\].*?\bloss: ([\d.naif]+)')
_ETA = re.compile(r'\beta: ((?:\d+ days?, )?[\d:]+)')
_VALIDATION = re.compile(r'Iter\((?:val|test)\)\s*\[\s*(\d+)/(\d+)\](.*)')
_LEAD = re.compile(r'\b(mIoU|bbox_mAP): ([\d.]+)')


class StepError(MMKDError, RuntimeError):
    """A step of an experiment ended with an error."""


@dataclass(frozen=True)
class Run:
    """One thing to train.

    Args:
        name: Its name in tables and folders.
        config: Path of its config file.
        once: It is trained with the first seed only and serves every seed.
        teacher: Name of the run whose checkpoint is its teacher, if it has one.
        title: What tables call it; the name by default.
        takes: Config option to the name of the run whose checkpoint it gets, such as
            that of a first stage.
        tested: Whether it is tested and stands in tables; a first stage is not.
        options: Config options of its training, such as another weight.
    """

    name: str
    config: str
    once: bool = False
    teacher: str | None = None
    title: str = ''
    takes: Mapping[str, str] = field(default_factory=dict)
    tested: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'title', self.title or self.name)

    @property
    def needs(self) -> dict[str, str]:
        """Config option to the run whose checkpoint it gets, the teacher's as well."""
        teacher = {'model.teacher_ckpt': self.teacher} if self.teacher else {}
        return {**teacher, **self.takes}


@dataclass(frozen=True)
class Experiment:
    """Runs, the sets they are tested on, and the seeds of the repetition.

    Args:
        name: Names the results file.
        title: A line for tables.
        runs: In the order of training; a teacher stands before its student, a first
            stage before the second.
        tests: Set name to the config options that choose it; the first one is the
            one that tables lead with.
        seeds: Of the repetition.
        options: Config options that every step gets.
        source: The file it was read from.
        rare: Classes that the results leave out of a second mean.
    """

    name: str
    title: str
    runs: tuple[Run, ...]
    tests: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ''
    rare: tuple[str, ...] = ()


def load_experiment(path: str | os.PathLike[str]) -> Experiment:
    """Reads an experiment's file and checks all of it.

    Raises:
        ConfigError: With every problem of the file.
    """
    from mmengine.config import Config

    if not Path(path).is_file():
        near = [str(p) for p in Path(path).parent.glob('*.py')]
        raise ConfigError(
            f'No experiment file {str(path)!r}.{did_you_mean(str(path), near)}'
        )
    raw = Config.fromfile(path).to_dict()
    problems: list[Problem] = []
    known = {'name', 'title', 'runs', 'tests', 'seeds', 'options', 'rare'}
    problems += [
        Problem(key, 'unknown key.', did_you_mean(key, known).strip())
        for key in sorted(set(raw) - known)
    ]
    problems += [
        Problem(key, 'missing.', f'Set it in {str(path)!r}.')
        for key in sorted({'name', 'runs'} - set(raw))
    ]
    runs: list[Run] = []
    for name, fields in dict(raw.get('runs', {})).items():
        found = _problems_of_run(f'runs.{name}', fields, [run.name for run in runs])
        problems += found
        runs.append(Run(name, **({'config': ''} if found else fields)))
    if problems:
        raise ConfigError.of(problems)
    return Experiment(
        name=raw['name'],
        title=raw.get('title', raw['name']),
        runs=tuple(runs),
        tests=raw.get('tests', {'val': {}}),
        seeds=tuple(raw.get('seeds', (0, 1, 2))),
        options=raw.get('options', {}),
        rare=tuple(raw.get('rare', ())),
        source=str(path),
    )


def _problems_of_run(
    place: str, fields: Mapping[str, Any], before: Sequence[str]
) -> list[Problem]:
    known = ['config', 'once', 'teacher', 'title', 'takes', 'tested', 'options']
    problems = [
        Problem(f'{place}.{key}', 'unknown key.', f'Known: {", ".join(known)}.')
        for key in sorted(set(fields) - set(known))
    ]
    config = fields.get('config', '')
    if not Path(config).is_file():
        hint = 'Paths start at the folder you run from, the repository.'
        problems.append(Problem(f'{place}.config', f'no such file: {config!r}.', hint))
    asked = {f'takes.{option}': run for option, run in fields.get('takes', {}).items()}
    if fields.get('teacher') is not None:
        asked['teacher'] = fields['teacher']
    for key, run in asked.items():
        if run not in before:
            hint = f'Runs before it: {list(before)}.{did_you_mean(run, before)}'
            what = f'no run {run!r} before it.'
            problems.append(Problem(f'{place}.{key}', what, hint))
    return problems


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end the work as cleanly as Ctrl-C does."""
    names = [signal.SIGTERM, signal.SIGHUP]
    before = [signal.signal(number, _interrupt) for number in names]
    try:
        yield
    finally:
        for number, handler in zip(names, before):
            signal.signal(number, handler)


def _end(process: subprocess.Popen[str]) -> None:
    """Ends ``process`` and all it started: it leads a process group of its own."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def run_command(
    command: Sequence[str],
    *,
    log: Path,
    name: str,
    on_line: Say = lambda line: None,
    env: Mapping[str, str] | None = None,
) -> float:
    """Runs a command, its output into ``log``, and returns the seconds it took.

    It does not outlive this call: whatever ends the call ends the command and its
    workers.

    Args:
        command: The program and its arguments.
        log: Gets the command line and all output; appended to.
        name: Of the step, for messages.
        on_line: Called with every line of output.
        env: Variables on top of this process's own.

    Raises:
        StepError: The command failed; the message tells which one, how, and where
            its log lies.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    tail: list[str] = []
    with log.open('a') as sink:
        sink.write(f'$ {shlex.join(command)}\n')
        sink.flush()
        process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors='replace',
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **(env or {})},
            start_new_session=True,
        )
        _LIVE.add(process)
        try:
            if process.stdout is not None:
                for line in process.stdout:
                    sink.write(line)
                    sink.flush()
                    tail = [*tail[-7:], line.rstrip()]
                    on_line(line.rstrip())
            status = process.wait()
        finally:
            _LIVE.discard(process)
            _end(process)
            if process.stdout is not None:
                process.stdout.close()
    if status != 0:
        how = f'signal {-status}' if status < 0 else f'exit status {status}'
        last = '\n'.join(f'    {line}' for line in tail)
        raise StepError(
            f'Step `{name}` failed with {how}.\n'
            f'  command: {shlex.join(command)}\n'
            f'  log:     {log}\n'
            f'  its last lines:\n{last}\n'
            '  Mend the cause and run the same again: finished steps are kept.'
        )
    return time.monotonic() - started


@dataclass(frozen=True)
class Outcome:
    """What became of one run with one seed.

    Args:
        run: Which one.
        seed: With which seed.
        folder: Its work directory.
        checkpoint: The last checkpoint.
        seconds: Training took so long, with its validation.
        metrics: Test figures, set by set.
    """

    run: Run
    seed: int
    folder: Path
    checkpoint: Path
    seconds: float
    metrics: dict[str, dict[str, Any]]

    @property
    def student(self) -> Path:
        """The checkpoint that plain mmseg or mmdet loads."""
        return student_file(self.checkpoint)


@dataclass(frozen=True)
class Failure:
    """A run that came to no end.

    Args:
        run: Which one.
        seed: With which seed.
        why: What was raised.
    """

    run: Run
    seed: int
    why: Exception


class _Line:
    """Turns the output of the tools into a few words of progress."""

    def __init__(self, label: str, say: Say, *, every: float = 8.0) -> None:
        self.label, self.say, self.every = label, say, every
        self.last = 0.0

    def __call__(self, line: str) -> None:
        match = _ITERATION.search(line)
        if match:
            now, end, loss = match.groups()
            if time.monotonic() - self.last < self.every and now != end:
                return
            self.last = time.monotonic()
            eta = _ETA.search(line)
            left = f'  {eta.group(1)} left' if eta and now != end else ''
            self.say(f'  {self.label}: {now:>5}/{end} iterations  loss {loss}{left}')
            return
        match = _VALIDATION.search(line)
        if match:
            lead = _LEAD.search(match.group(3))
            if lead:
                self.say(f'  {self.label}: {lead.group(1)} {lead.group(2)}')


class Bench:
    """Does steps below one folder, side by side, and stops all when one fails.

    Args:
        root: Everything is written below it.
        fresh: Throw away what is there and start anew.
        say: Is given lines about the progress.
        python: The interpreter that runs the tools.
        data: What the data is, for the stamps: done again when it changes.
        jobs: So many runs may go on at once; they share the cores evenly.
        keep_going: A run that fails does not stop the others; it is noted in
            `failures`.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        fresh: bool = False,
        say: Say = print,
        python: str = sys.executable,
        data: str = '',
        jobs: int = 1,
        keep_going: bool = False,
    ) -> None:
        self.root = Path(root)
        self.fresh = fresh
        self.say = say
        self.python = python
        self.data = data
        self.jobs = jobs
        self.keep_going = keep_going
        self.failures: list[Failure] = []
        self._stopping = threading.Event()
        self._made: set[Path] = set()
        self._texts: dict[str, str] = {}

    @contextmanager
    def _side_by_side(self) -> Iterator[Callable[..., Future[Any]]]:
        """Lends a function that begins work; what is begun ends with the block."""
        pool = ThreadPoolExecutor(self.jobs)
        begun: list[Future[Any]] = []

        def begin(work: Callable[..., Any], *args: Any) -> Future[Any]:
            begun.append(pool.submit(self._try, work, *args))
            return begun[-1]

        try:
            yield begin
        finally:
            self._stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in begun):
                for process in list(_LIVE):
                    _end(process)
                wait(begun, timeout=0.1)
            pool.shutdown()
            self._stopping.clear()

    def _try(self, work: Callable[..., Any], *args: Any) -> Any:
        try:
            return work(*args)
        except BaseException:
            if not self.keep_going:
                self._stopping.set()  # before this thread takes up the next run
            raise

    def _wait_for(self, begun: Sequence[Future[Any]]) -> None:
        """Waits until all have ended; raises the first failure, unless `keep_going`."""
        until = ALL_COMPLETED if self.keep_going else FIRST_EXCEPTION
        wait(begun, return_when=until)
        if not self.keep_going:
            failed = [f for f in begun if f.done() and f.exception()]
            for future in [*failed, *begun]:
                future.result()

    def _begin_folder(self, folder: Path, mark: str) -> dict[str, Any]:
        """Clears ``folder`` unless it is of the run with this mark; returns its note.

        An outdated run is removed, but nothing that a bench has not made.
        """
        begun = folder / 'begun.json'
        anew = self.fresh and folder not in self._made
        self._made.add(folder)
        if anew or read_stamp(begun).get('mark') != mark:
            if folder.is_dir() and any(folder.iterdir()) and not begun.is_file():
                raise ConfigError(
                    f'{str(folder)!r} holds files that are not of this experiment. '
                    'Move them away, or choose another folder with `--work-dir`.'
                )
            shutil.rmtree(folder, ignore_errors=True)
        return read_stamp(begun)

    def _fingerprint(self, config: str, options: Mapping[str, Any], more: str) -> str:
        """Returns a hash of all that a step's outcome hangs on but the code."""
        chosen = sorted(_as_options(options))
        parts = json.dumps([self._text(config), chosen, self.data, more])
        return hashlib.sha256(parts.encode()).hexdigest()

    def _text(self, config: str) -> str:
        """Returns all that a config says, with what it inherits."""
        from mmengine.config import Config

        if config not in self._texts:
            self._texts[config] = Config.fromfile(config).pretty_text
        return self._texts[config]

    def _step(
        self, command: Sequence[str], log: Path, name: str, on_line: Say
    ) -> float:
        """Runs a command with its share of the cores, unless all is to stop."""
        if self._stopping.is_set():
            raise StepError(f'Step `{name}` was not begun: another one failed.')
        env: dict[str, str] = {}
        if 'OMP_NUM_THREADS' not in os.environ:
            # Not all cores, even for one job: on two of them a second thread was worth
            # a tenth, and cost a factor of seven when something else ran as well.
            share = (os.cpu_count() or 1) // max(self.jobs, 2)
            env['OMP_NUM_THREADS'] = str(max(share, 1))
        return run_command(command, log=log, name=name, on_line=on_line, env=env)


class Workshop(Bench):
    """Does the steps of an experiment below one folder.

    Args:
        root: Everything is written below it.
        pictures: Keep the predictions of each test as PNG files.
        policy: As `Bench`.
    """

    def __init__(
        self, root: str | os.PathLike[str], *, pictures: bool = False, **policy: Any
    ) -> None:
        super().__init__(root, **policy)
        self.pictures = pictures

    def run(
        self, experiment: Experiment, seed: int, *, folder: str = ''
    ) -> list[Outcome]:
        """Trains and tests every run of ``experiment`` with ``seed``.

        Args:
            experiment: What to do.
            seed: Of every run but those that are trained ``once``, which take the
                experiment's first.
            folder: Below the root, for the runs that are not shared by the seeds.

        Returns:
            In the order of the runs; with `keep_going`, without those that failed.

        Raises:
            MMKDError: The first failure, unless `keep_going`.
        """
        for run in experiment.runs:
            self._text(run.config)  # mmengine reads one config at a time
        begun: dict[str, Future[Outcome]] = {}
        with self._side_by_side() as begin:
            for run in experiment.runs:
                own = self.root if run.once else self.root / folder
                chosen = experiment.seeds[0] if run.once and folder else seed
                # they were begun before, so waiting for them must end
                needs = {option: begun[name] for option, name in run.needs.items()}
                begun[run.name] = begin(
                    self._make, experiment, run, chosen, own / run.name, needs
                )
            self._wait_for(list(begun.values()))
            return self._gather(experiment, begun, seed)

    def _gather(
        self, experiment: Experiment, begun: Mapping[str, Future[Outcome]], seed: int
    ) -> list[Outcome]:
        """Returns what came out, and notes what did not."""
        outcomes = []
        for run in experiment.runs:
            try:
                outcomes.append(begun[run.name].result())
            except Exception as error:
                # whatever a run dies of, the others are not to blame
                self.failures.append(Failure(run, seed, error))
                self.say(f'{run.title} (seed {seed}) failed: {error}')
        return outcomes

    def _make(
        self,
        experiment: Experiment,
        run: Run,
        seed: int,
        folder: Path,
        waits_for: Mapping[str, Future[Outcome]],
    ) -> Outcome:
        common: dict[str, Any] = {'randomness.seed': seed, **experiment.options}
        options = {**common, **run.options}
        taken = ''
        for option, begun in waits_for.items():
            outcome = begun.result()
            options[option] = str(
                outcome.checkpoint if option in run.takes else outcome.student
            )
            taken += self._stamp_of(outcome.folder)
        mark = self._fingerprint(run.config, options, taken)
        label = f'{run.title} (seed {seed})'
        checkpoint, seconds = self._train(run, folder, options, mark, label)
        metrics = {
            name: self._test(run, folder, checkpoint, name, chosen, experiment, label)
            for name, chosen in (experiment.tests.items() if run.tested else ())
        }
        return Outcome(run, seed, folder, checkpoint, seconds, metrics)

    def _train(
        self, run: Run, folder: Path, options: dict[str, Any], mark: str, label: str
    ) -> tuple[Path, float]:
        stamp = folder / 'trained.json'
        begun = folder / 'begun.json'
        started_before = self._begin_folder(folder, mark)
        note = read_stamp(stamp)
        if note.get('mark') == mark:
            checkpoint = last_checkpoint(folder)
            self.say(f'{label}: trained before, kept ({checkpoint})')
            return checkpoint, float(note['seconds'])
        command = [self.python, 'tools/train.py', run.config, '--work-dir', str(folder)]
        before = 0.0
        try:
            from_ = last_checkpoint(folder)
        except CheckpointError:
            self.say(f'{label}: training')
        else:
            command += ['--resume']
            before = float(started_before.get('seconds', 0.0))
            self.say(f'{label}: training goes on from {from_.name}')
        command += ['--cfg-options', *_as_options(options)]
        write_json(begun, {'mark': mark, 'seconds': before})
        started = time.monotonic()
        try:
            seconds = before + self._step(
                command,
                folder / 'train.log',
                f'train {run.name}',
                _Line(run.title, self.say),
            )
        except BaseException:
            spent = before + time.monotonic() - started
            write_json(begun, {'mark': mark, 'seconds': spent})
            raise
        checkpoint = last_checkpoint(folder)
        write_json(stamp, {'mark': mark, 'seconds': round(seconds, 1)})
        return checkpoint, round(seconds, 1)

    def _test(
        self,
        run: Run,
        folder: Path,
        checkpoint: Path,
        name: str,
        chosen: Mapping[str, Any],
        experiment: Experiment,
        label: str,
    ) -> dict[str, Any]:
        where = folder / f'test_{name}'
        stamp = where / 'tested.json'
        options = {**experiment.options, **chosen}
        if self.pictures:
            options['test_evaluator.output_dir'] = str(where / 'predictions')
        stat = checkpoint.stat()
        mark = self._fingerprint(
            run.config, options, f'{checkpoint.name} {stat.st_size} {stat.st_mtime_ns}'
        )
        note = read_stamp(stamp)
        if note.get('mark') == mark:
            return dict(note['metrics'])
        shutil.rmtree(where, ignore_errors=True)
        self.say(f'{label}: testing on {name}')
        self._step(
            [
                *(self.python, 'tools/test.py', run.config, str(checkpoint)),
                *('--work-dir', str(where)),
                *(['--cfg-options', *_as_options(options)] if options else []),
            ],
            folder / f'test_{name}.log',
            f'test {run.name} on {name}',
            _Line(f'{run.title} on {name}', self.say),
        )
        metrics = read_metrics(where)
        write_json(stamp, {'mark': mark, 'metrics': metrics})
        return metrics

    def _stamp_of(self, folder: Path) -> str:
        return str(read_stamp(folder / 'trained.json').get('mark', ''))


def read_stamp(path: Path) -> dict[str, Any]:
    """Returns a stamp, empty when it is missing or was never finished."""
    try:
        value = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def _as_options(options: Mapping[str, Any]) -> list[str]:
    """Returns ``options`` as ``--cfg-options`` takes them."""
    return [f'{key}={value}' for key, value in options.items()]
