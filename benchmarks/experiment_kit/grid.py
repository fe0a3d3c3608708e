"""A grid of adaptation runs: methods, orders, learning rates and seeds.

It is described by a small config file (`benchmarks/experiments/`), and each run is one
call of ``tools/test.py`` that a person could type.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiment_kit.comparison import Group, compare
from experiment_kit.experiment import Experiment, ExperimentRunner, Run
from experiment_kit.machine import commit, describe_machine
from experiment_kit.runner import StepRunner, missing_file, read_file, unknown_keys
from mmkd_ext.engine.steps import as_options, read_state
from mmkd_ext.errors import ConfigError, DataError, Problem
from mmkd_ext.evaluation.adaptation.results import AdaptResults, read_results
from mmkd_ext.files import write_json
from mmkd_ext.version import stack_versions

__all__ = [
    'Grid',
    'GridRun',
    'GridRunner',
    'Method',
    'collect',
    'load_grid',
    'parse_shard',
    'source_checkpoint',
]

_KEYS = (
    *('name', 'title', 'methods', 'orders', 'learning_rates', 'seeds', 'options'),
    *('checkpoint', 'source'),
)
_ORDER_KEYS = ('order', 'once')
_METHOD_KEYS = ('config', 'title', 'once', 'options', 'learning_rates')
_STATE = 'stream_state.pth'
_DONE = 'adapted.json'


@dataclass(frozen=True)
class Method:
    """A row of the grid.

    Args:
        name: Names its folder.
        config: Path of its config file.
        title: What tables call it; the name by default.
        once: It draws nothing at random, so it runs with the first seed alone and
            serves every seed.
        options: Config options of its own.
        learning_rates: Tried one by one; none for what the config says.
    """

    name: str
    config: str
    title: str = ''
    once: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    learning_rates: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, 'title', self.title or self.name)


@dataclass(frozen=True)
class GridRun:
    """One run: a method with an order, a learning rate and a seed."""

    method: Method
    order: str
    learning_rate: float | None
    seed: int

    @property
    def name(self) -> str:
        """Its folder below the grid's."""
        rate = '' if self.learning_rate is None else f'-lr{self.learning_rate:g}'
        return f'{self.method.name}/{self.order}{rate}-seed{self.seed}'


@dataclass(frozen=True)
class Grid:
    """Methods, orders, learning rates and seeds.

    Args:
        name: Names the results file.
        title: A line for tables.
        methods: In the order of tables.
        orders: Name to what ``test_cfg.order`` takes; ``None`` for the config's.
        seeds: Of the repetition.
        options: Config options of every run.
        checkpoint: The source's, a path.
        source: Config that trains the source, where there is no checkpoint.
        file: What it was read from.
        orders_once: Names of orders that run with the first seed alone; in the file
            these are ``dict(order=..., once=True)``.
    """

    name: str
    title: str
    methods: tuple[Method, ...]
    orders: Mapping[str, Any]
    seeds: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str = ''
    source: str = ''
    file: str = ''
    orders_once: tuple[str, ...] = ()

    @property
    def runs(self) -> list[GridRun]:
        """All runs, seed by seed, so that the first seed of all is there early."""
        return [
            GridRun(method, order, rate, seed)
            for seed in self.seeds
            for method in self.methods
            for order in self.orders
            if seed == self.seeds[0]
            or not (method.once or order in self.orders_once)
            for rate in method.learning_rates or (None,)
        ]

    def label(self, run: GridRun) -> str:
        """Returns what tables call a run: title, and what else differs in the grid."""
        parts = [run.method.title]
        if len(self.orders) > 1:
            parts.append(run.order)
        if len(run.method.learning_rates) > 1:
            parts.append(f'lr {run.learning_rate:g}')
        return ', '.join(parts)

    def options_of(self, run: GridRun) -> dict[str, Any]:
        """Returns the config options of a run."""
        options: dict[str, Any] = {**self.options, **run.method.options}
        options.update({'randomness.seed': run.seed, 'test_cfg.seed': run.seed})
        order = self.orders[run.order]
        if order is not None:
            words = order if isinstance(order, str) else f'[{",".join(order)}]'
            options['test_cfg.order'] = words
        if run.learning_rate is not None:
            options['test_cfg.optim_wrapper.optimizer.lr'] = run.learning_rate
        return options


def load_grid(path: str | os.PathLike[str]) -> Grid:
    """Reads the file of a grid and checks all of it.

    Raises:
        ConfigError: With every problem of the file.
    """
    raw, problems = read_file(path, 'grid', _KEYS, ('name', 'methods'))
    if bool(raw.get('checkpoint')) == bool(raw.get('source')):
        problems.append(
            Problem(
                'checkpoint',
                'must be the path of the source model, or `source` the config that '
                'trains it; one of both.',
            )
        )
    rates = tuple(raw.get('learning_rates', ()))
    methods = []
    for name, fields in dict(raw.get('methods', {})).items():
        wrong = unknown_keys(fields, f'methods.{name}.', _METHOD_KEYS)
        config = fields.get('config', '')
        problems += wrong + missing_file(f'methods.{name}.config', config)
        if not wrong and config:
            own = tuple(fields.get('learning_rates', rates))
            methods.append(Method(name, **{**fields, 'learning_rates': own}))
    if raw.get('source'):
        problems += missing_file('source', raw['source'])
    orders = {
        name: dict(order) if isinstance(order, Mapping) else {'order': order}
        for name, order in (raw.get('orders') or {'order': None}).items()
    }
    for name, fields in orders.items():
        problems += unknown_keys(fields, f'orders.{name}.', _ORDER_KEYS)
    if problems:
        raise ConfigError.of(problems)
    return Grid(
        name=raw['name'],
        title=raw.get('title', raw['name']),
        methods=tuple(methods),
        orders={name: fields.get('order') for name, fields in orders.items()},
        orders_once=tuple(name for name in orders if orders[name].get('once')),
        seeds=tuple(raw.get('seeds', (0, 1, 2))),
        options=raw.get('options', {}),
        checkpoint=raw.get('checkpoint', ''),
        source=raw.get('source', ''),
        file=str(path),
    )


def parse_shard(text: str) -> tuple[int, int]:
    """Returns which part of how many, from ``'2/3'``.

    Raises:
        ConfigError: It is not of this form, or the part is not one of them.

    Examples:
        >>> parse_shard('2/3')
        (2, 3)
    """
    match = re.fullmatch(r'(\d+)/(\d+)', text)
    part, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= count:
        raise ConfigError(
            f'`--shard` must be i/n with i from 1 to n, as 2/3, but is {text!r}.'
        )
    return part, count


def source_checkpoint(
    grid: Grid, runner: ExperimentRunner, *, train: bool = True
) -> Path:
    """Returns the source model of a grid; trains it first where the grid says how.

    Args:
        grid: Names the checkpoint, or the config that trains it.
        runner: Trains it below its folder, once for all seeds and all grids.
        train: Whether to train, or only to take what was trained.

    Raises:
        ConfigError: There is no checkpoint.
    """
    if not grid.source:
        path = Path(grid.checkpoint)
        if path.is_file():
            return path
        raise ConfigError(
            f'`checkpoint`: no such file {grid.checkpoint!r}. Correct it in '
            f'{grid.file!r}, or give `--checkpoint`.'
        )
    run = Run(Path(grid.source).stem, grid.source, once=True)
    if not train and not (runner.root / run.name / 'trained.json').is_file():
        raise ConfigError(
            f'The source model {grid.source!r} is not trained yet, and two processes '
            'must not train it both. Call with `--source-only` once, then the shards.'
        )
    training = Experiment(grid.name, grid.title, (run,), {}, grid.seeds[:1])
    return runner.run(training, grid.seeds[0])[0].student


class GridRunner(StepRunner):
    """Does the runs of a grid below one folder.

    Args:
        grid: What to do.
        checkpoint: The source model.
        root: Everything is written below it.
        policy: As `StepRunner`; what fails under `keep_going` is noted in `failed`.
    """

    def __init__(
        self, grid: Grid, checkpoint: Path, root: str | os.PathLike[str], **policy: Any
    ) -> None:
        super().__init__(root, **policy)
        self.grid = grid
        self.checkpoint = checkpoint
        self.failed: dict[str, str] = {}
        for method in grid.methods:
            self.config(method.config)

    def run(self, runs: Sequence[GridRun]) -> None:
        """Does these runs, side by side.

        Raises:
            MMKDError: The first failure, unless `keep_going`.
        """
        with self.parallel() as begin:
            begun = [begin(self._adapt, run) for run in runs]
        for run, future in zip(runs, begun):
            error = future.exception()
            if error is not None:
                self.failed[run.name] = type(error).__name__
                self.log(f'{self._label(run)} failed: {error}')

    def done(self, run: GridRun) -> AdaptResults | None:
        """Returns what a run left, ``None`` unless it is finished and up to date."""
        folder = self.root / run.name
        if read_state(folder / _DONE).get('mark') != self._fingerprint(run):
            return None
        try:
            results = read_results(folder)
        except DataError:  # removed or damaged since
            return None
        return None if results.missing else results

    def _label(self, run: GridRun) -> str:
        return f'{self.grid.label(run)} (seed {run.seed})'

    def _fingerprint(self, run: GridRun) -> str:
        stat = self.checkpoint.stat()
        weights = f'{self.checkpoint.name} {stat.st_size} {stat.st_mtime_ns}'
        return self.fingerprint(run.method.config, self.grid.options_of(run), weights)

    def _adapt(self, run: GridRun) -> None:
        folder, mark = self.root / run.name, self._fingerprint(run)
        before = float(self.begin_folder(folder, mark).get('seconds', 0.0))
        label = self._label(run)
        if self.done(run) is not None:
            self.log(f'{label}: done before, kept')
            return
        goes_on = (folder / _STATE).is_file()
        self.log(f'{label}: {"goes on" if goes_on else "begins"}')
        write_json(folder / 'begun.json', {'mark': mark, 'seconds': before})
        progress = self._progress(folder, label)
        seconds = before + self.step(
            [
                *('tools/test.py', run.method.config),
                *(str(self.checkpoint), '--work-dir', str(folder)),
                *(['--resume'] if goes_on else []),
                *('--cfg-options', *as_options(self.grid.options_of(run))),
            ],
            folder / 'adapt.log',
            f'adapt {run.name}',
            progress,
        )
        progress()
        missing = read_results(folder).missing
        if missing:
            raise DataError(
                f'{label} ended without an error, but {len(missing)} cells are '
                f'missing in {str(folder / "results.json")!r}. Look at '
                f'{str(folder / "adapt.log")!r}.'
            )
        write_json(folder / _DONE, {'mark': mark, 'seconds': round(seconds, 1)})

    def _progress(self, folder: Path, label: str) -> Callable[[], None]:
        """Returns a function that tells of each cell once, by the run's own results."""
        told = [0.0, 0.0]  # when the file was written, cells

        def tell() -> None:
            file = folder / 'results.json'
            written = file.stat().st_mtime if file.is_file() else 0.0
            if written == told[0]:
                return
            cells = read_state(file).get('cells') or []
            told[0] = written
            if len(cells) > told[1]:
                last = cells[-1]
                told[1] = len(cells)
                self.log(
                    f'  {label}: round {last["round"]} {last["domain"]}: mIoU '
                    f'{last["mIoU"]}'
                )

        return tell


def collect(runner: GridRunner, *, note: str = '') -> dict[str, Any]:
    """Returns the figures of all finished runs, whichever shard did them.

    With several learning rates, ``best`` names for each method and order the one of
    the highest mean. It was chosen on this stream: report it on another.

    Args:
        runner: Knows where they are.
        note: What a reader should know besides.
    """
    grid = runner.grid
    done: dict[str, list[AdaptResults]] = {}
    missing = []
    for run in grid.runs:
        results = runner.done(run)
        if results is None:
            missing.append({'run': grid.label(run), 'seed': run.seed})
        else:
            done.setdefault(grid.label(run), []).append(results)
    comparison = compare(
        [Group(name, runs, runs[0].method == 'Source') for name, runs in done.items()]
    )
    return {
        'experiment': grid.name,
        'title': grid.title,
        'command': f'python benchmarks/adapt_grid.py {grid.file}',
        'date': time.strftime('%Y-%m-%d', time.gmtime()),
        'commit': commit(),
        'seeds': list(grid.seeds),
        'orders': dict(grid.orders),
        'methods': {
            method.name: {
                'title': method.title,
                'config': method.config,
                'options': dict(method.options),
                'learning_rates': list(method.learning_rates),
            }
            for method in grid.methods
        },
        'options': dict(grid.options),
        'machine': describe_machine(),
        'versions': stack_versions(),
        'note': note,
        'missing': missing,
        'failed': dict(runner.failed),
        'best': _best(grid, comparison),
        **comparison,
    }


def _best(grid: Grid, comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the learning rate of the highest mean, where there was a choice."""
    chosen = []
    for method in grid.methods:
        for order in grid.orders if len(method.learning_rates) > 1 else ():
            means = {}
            for rate in method.learning_rates:
                label = grid.label(GridRun(method, order, rate, grid.seeds[0]))
                mean = (comparison['runs'].get(label) or {}).get('mIoU')
                if mean:
                    means[rate] = mean['mean']
            if means:
                rate = max(means, key=lambda one: means[one])
                chosen.append(
                    {
                        'method': method.name,
                        'order': order,
                        'learning_rate': rate,
                        'mIoU': means[rate],
                        'tried': len(means),
                    }
                )
    return chosen
