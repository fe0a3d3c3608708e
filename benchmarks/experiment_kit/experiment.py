"""An experiment: a few configs, trained and tested in order, through the tools only.

It is described by a small config file (`benchmarks/experiments/`), and every step of it
is one call of ``tools/train.py`` or ``tools/test.py`` that a person could type.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiment_kit.logs import figures, read_metrics, read_scalars
from experiment_kit.runner import StepRunner, missing_file, read_file, unknown_keys
from mmkd_ext.checkpoint import latest_checkpoint
from mmkd_ext.engine.steps import as_options, read_state
from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Problem,
    did_you_mean,
)
from mmkd_ext.files import write_json

__all__ = [
    'Experiment',
    'ExperimentRunner',
    'Failure',
    'Outcome',
    'Run',
    'load_experiment',
]

_KEYS = ('name', 'title', 'runs', 'tests', 'seeds', 'options', 'rare')
_RUN_KEYS = (
    'config',
    'once',
    'teacher',
    'over',
    'title',
    'takes',
    'tested',
    'options',
    'weight_factor',
    'checkpoint',
)


@dataclass(frozen=True)
class Run:
    """One thing to train.

    Args:
        name: Its name in tables and folders.
        config: Path of its config file.
        once: It is trained with the first seed only and serves every seed.
        teacher: Name of the run whose checkpoint is its teacher, if it has one.
        over: Name of the run that its gain is over; the first plain one by default.
        title: What tables call it; the name by default.
        takes: Config option to the name of the run whose checkpoint it gets, such as
            that of a first stage.
        tested: Whether it is tested and stands in tables; a first stage is not.
        options: Config options of its training, such as another weight.
        weight_factor: Times the `loss_weight` of every link of the config.
        checkpoint: Weights that others have trained: nothing is trained then.
    """

    name: str
    config: str
    once: bool = False
    teacher: str | None = None
    over: str | None = None
    title: str = ''
    takes: Mapping[str, str] = field(default_factory=dict)
    tested: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    weight_factor: float = 1.0
    checkpoint: str = ''

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

    def only(self, names: Sequence[str]) -> Experiment:
        """Returns it with these runs alone, and what they need.

        Raises:
            ConfigError: There is no such run.
        """
        known = {run.name: run for run in self.runs}
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ConfigError(f'{self.source} has no run {name!r}.{hint}')
        kept = set(names)
        for run in reversed(self.runs):  # what a run needs stands before it
            if run.name in kept:
                kept.update(run.needs.values())
        return replace(self, runs=tuple(run for run in self.runs if run.name in kept))


def load_experiment(path: str | os.PathLike[str]) -> Experiment:
    """Reads an experiment's file and checks all of it.

    Raises:
        ConfigError: With every problem of the file.
    """
    raw, problems = read_file(path, 'experiment', _KEYS, ('name', 'runs'))
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
    problems = unknown_keys(fields, f'{place}.', _RUN_KEYS)
    problems += missing_file(f'{place}.config', fields.get('config', ''))
    asked = {f'takes.{option}': run for option, run in fields.get('takes', {}).items()}
    asked |= {key: fields[key] for key in ('teacher', 'over') if fields.get(key)}
    for key, run in asked.items():
        if run not in before:
            hint = f'Runs before it: {list(before)}.{did_you_mean(run, before)}'
            what = f'no run {run!r} before it.'
            problems.append(Problem(f'{place}.{key}', what, hint))
    return problems


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
        beside = self.checkpoint.with_name(f'{self.checkpoint.stem}_student.pth')
        return beside if beside.is_file() else self.checkpoint


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


class ExperimentRunner(StepRunner):
    """Trains and tests the runs of an experiment below one folder.

    Args:
        root: Everything is written below it.
        pictures: Keep the predictions of each test as PNG files.
        policy: As `StepRunner`; what fails under `keep_going` is noted in `failures`.
    """

    def __init__(
        self, root: str | os.PathLike[str], *, pictures: bool = False, **policy: Any
    ) -> None:
        super().__init__(root, **policy)
        self.pictures = pictures
        self.failures: list[Failure] = []

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
            self.config(run.config)
        begun: dict[str, Future[Outcome]] = {}
        with self.parallel() as begin:
            for run in experiment.runs:
                own = self.root if run.once else self.root / folder
                chosen = experiment.seeds[0] if run.once and folder else seed
                # they were begun before, so waiting for them must end
                needs = {option: begun[name] for option, name in run.needs.items()}
                begun[run.name] = begin(
                    self._make, experiment, run, chosen, own / run.name, needs
                )
        outcomes = []
        for run in experiment.runs:
            try:
                outcomes.append(begun[run.name].result())
            except Exception as error:
                # whatever a run dies of, the others are not to blame
                self.failures.append(Failure(run, seed, error))
                self.log(f'{run.title} (seed {seed}) failed: {error}')
        return outcomes

    def _make(
        self,
        experiment: Experiment,
        run: Run,
        seed: int,
        folder: Path,
        needs: Mapping[str, Future[Outcome]],
    ) -> Outcome:
        options = {
            'randomness.seed': seed,
            **experiment.options,
            **self._weights(run),
            **run.options,
        }
        taken = ''
        for option, begun in needs.items():
            outcome = begun.result()
            options[option] = str(
                outcome.checkpoint if option in run.takes else outcome.student
            )
            taken += str(read_state(outcome.folder / 'trained.json').get('mark', ''))
        if run.checkpoint:
            taken += weights_mark(run.checkpoint)
        mark = self.fingerprint(run.config, options, taken)
        label = f'{run.title} (seed {seed})'
        checkpoint, seconds = self._train(run, folder, options, mark, label)
        metrics = {
            name: self._test(
                run, folder, checkpoint, name, {**experiment.options, **chosen}, label
            )
            for name, chosen in (experiment.tests.items() if run.tested else ())
        }
        return Outcome(run, seed, folder, checkpoint, seconds, metrics)

    def _weights(self, run: Run) -> dict[str, float]:
        """Returns the config options that multiply the weights of a run's links."""
        if run.weight_factor == 1.0:
            return {}
        return {
            f'model.distiller.links.{name}.loss.loss_weight': run.weight_factor
            * link.loss.get('loss_weight', 1.0)
            for name, link in self.config(run.config).model.distiller.links.items()
        }

    def _train(
        self, run: Run, folder: Path, options: dict[str, Any], mark: str, label: str
    ) -> tuple[Path, float]:
        begun = self.begin_folder(folder, mark)
        done = read_state(folder / 'trained.json')
        if done.get('mark') == mark:
            checkpoint = last_checkpoint(folder)
            self.log(f'{label}: trained before, kept ({checkpoint})')
            return checkpoint, float(done['seconds'])
        if run.checkpoint:
            return self._take(run, folder, mark, label)
        command = ['tools/train.py', run.config, '--work-dir', str(folder)]
        before = 0.0
        try:
            from_ = last_checkpoint(folder)
        except CheckpointError:
            self.log(f'{label}: training')
        else:
            command += ['--resume']
            before = float(begun.get('seconds', 0.0))
            self.log(f'{label}: training goes on from {from_.name}')
        write_json(folder / 'begun.json', {'mark': mark, 'seconds': before})
        started = time.monotonic()
        try:
            seconds = before + self.step(
                [*command, '--cfg-options', *as_options(options)],
                folder / 'train.log',
                f'train {run.name}',
                self._progress(run, folder),
            )
        except BaseException:
            spent = before + time.monotonic() - started
            write_json(folder / 'begun.json', {'mark': mark, 'seconds': spent})
            raise
        checkpoint = last_checkpoint(folder)
        seconds = round(seconds, 1)
        write_json(folder / 'trained.json', {'mark': mark, 'seconds': seconds})
        self.log(f'{label}: trained in {seconds:.0f} s')
        return checkpoint, seconds

    def _take(
        self, run: Run, folder: Path, mark: str, label: str
    ) -> tuple[Path, float]:
        """Notes the weights that others have trained as if they were trained here."""
        self.log(f'{label}: {run.checkpoint} is taken as it is')
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'last_checkpoint').write_text(run.checkpoint)
        for name in ('begun', 'trained'):
            write_json(folder / f'{name}.json', {'mark': mark, 'seconds': 0.0})
        return Path(run.checkpoint), 0.0

    def _progress(self, run: Run, folder: Path) -> Callable[[], None]:
        """Returns a function that tells how far a training is, by its own log."""
        configured = self.config(run.config).get('train_cfg', {}).get('max_iters')
        total = run.options.get('train_cfg.max_iters', configured)
        last = [int(_last_record(folder).get('step', 0))]  # of an earlier part

        def tell() -> None:
            record = _last_record(folder)
            step = int(record.get('step', 0))
            if 'loss' not in record or step == last[0]:
                return
            last[0] = step
            of = f'/{total}' if total else ''
            left = ''
            if total and 'time' in record:
                seconds = round(record['time'] * (total - step))
                left = f', {seconds // 60}:{seconds % 60:02d} left'
            loss = record['loss']
            self.log(f'  {run.title}: {step}{of} iterations, loss {loss:.4f}{left}')

        return tell

    def _test(
        self,
        run: Run,
        folder: Path,
        checkpoint: Path,
        name: str,
        options: dict[str, Any],
        label: str,
    ) -> dict[str, Any]:
        where = folder / f'test_{name}'
        if self.pictures:
            options['test_evaluator.output_dir'] = str(where / 'predictions')
        mark = self.fingerprint(run.config, options, weights_mark(checkpoint))
        done = read_state(where / 'tested.json')
        if done.get('mark') == mark:
            return dict(done['metrics'])
        self.move_aside(where, 'its test is outdated')
        self.log(f'{label}: testing on {name}')
        self.step(
            [
                *('tools/test.py', run.config, str(checkpoint)),
                *('--work-dir', str(where)),
                *(['--cfg-options', *as_options(options)] if options else []),
            ],
            folder / f'test_{name}.log',
            f'test {run.name} on {name}',
        )
        metrics = read_metrics(where)
        write_json(where / 'tested.json', {'mark': mark, 'metrics': metrics})
        try:
            of = figures(metrics)
        except DataError:
            shown = json.dumps(metrics)
        else:
            shown = f'{of.lead} {of.values[of.lead]:.2f}'
        self.log(f'{label} on {name}: {shown}')
        return metrics


def weights_mark(path: str | Path) -> str:
    """Returns what changes when a checkpoint does.

    Raises:
        CheckpointError: There is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f'There is no file {str(path)!r}: the experiment says how it is made.'
        )
    stat = path.stat()
    return f'{path.name} {stat.st_size} {stat.st_mtime_ns}'


def last_checkpoint(work_dir: str | Path) -> Path:
    """Returns the newest checkpoint that a run says it has written.

    Raises:
        CheckpointError: It wrote none, or the file is gone.
    """
    path = latest_checkpoint(work_dir)
    if path is None:
        raise CheckpointError(
            f'No `last_checkpoint` in {str(work_dir)!r}: the run has not come to its '
            'first checkpoint.'
        )
    return Path(path)


def _last_record(work_dir: str | Path) -> dict[str, Any]:
    """Returns the last record of a run's newest log, empty before there is one."""
    try:
        scalars = read_scalars(work_dir)
    except DataError:
        return {}
    return dict(scalars.iloc[-1].dropna()) if len(scalars) else {}
