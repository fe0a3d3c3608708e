"""A grid of adaptation runs: methods, orders, learning rates and seeds.

It is described by a small config file (`benchmarks/experiments/`), and each run is one
call of ``tools/test.py`` that a person could type. A run that is done is not done
again; one that was stopped goes on (``--resume``).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmkd_ext.errors import ConfigError, DataError, Problem, did_you_mean
from mmkd_ext.evaluation.adaptation.compare import Group, compare
from mmkd_ext.evaluation.adaptation.results import AdaptResults, read_results
from mmkd_ext.evaluation.experiment import (
    Bench,
    Experiment,
    Run,
    Workshop,
    read_stamp,
)
from mmkd_ext.evaluation.files import write_json
from mmkd_ext.evaluation.machine import commit, describe_machine, versions

__all__ = [
    'Grid',
    'GridBench',
    'GridRun',
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
_STAMP = 'adapted.json'
_PROGRESS = re.compile(r'(round \d+/\d+ \S+ \[\d+/\d+\] running mIoU .*)')
_CELL = re.compile(r'(round \d+/\d+ \S+: mIoU [\d.]+)')


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
        found: dict[str, Any] = {**self.options, **run.method.options}
        found.update({'randomness.seed': run.seed, 'test_cfg.seed': run.seed})
        order = self.orders[run.order]
        if order is not None:
            words = order if isinstance(order, str) else f'[{",".join(order)}]'
            found['test_cfg.order'] = words
        if run.learning_rate is not None:
            found['test_cfg.optim_wrapper.optimizer.lr'] = run.learning_rate
        return found


def load_grid(path: str | os.PathLike[str]) -> Grid:
    """Reads the file of a grid and checks all of it.

    Raises:
        ConfigError: With every problem of the file.
    """
    from mmengine.config import Config

    if not Path(path).is_file():
        near = [str(p) for p in Path(path).parent.glob('*.py')]
        raise ConfigError(f'No grid file {str(path)!r}.{did_you_mean(str(path), near)}')
    raw = Config.fromfile(path).to_dict()
    problems = _unknown(raw, '', _KEYS) + [
        Problem(key, 'missing.', f'Set it in {str(path)!r}.')
        for key in ('name', 'methods')
        if not raw.get(key)
    ]
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
        wrong = _unknown(fields, f'methods.{name}.', _METHOD_KEYS)
        problems += wrong + _no_file(f'methods.{name}.config', fields.get('config', ''))
        if not wrong and 'config' in fields:
            own = tuple(fields.get('learning_rates', rates))
            methods.append(Method(name, **{**fields, 'learning_rates': own}))
    if raw.get('source'):
        problems += _no_file('source', raw['source'])
    orders = _orders(raw)
    for name, fields in orders.items():
        problems += _unknown(fields, f'orders.{name}.', _ORDER_KEYS)
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


def _orders(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the orders of a grid's file, each with its settings."""
    return {
        name: dict(order) if isinstance(order, Mapping) else {'order': order}
        for name, order in (raw.get('orders') or {'order': None}).items()
    }


def _unknown(raw: Mapping[str, Any], path: str, known: Sequence[str]) -> list[Problem]:
    return [
        Problem(f'{path}{key}', 'unknown key.', did_you_mean(key, known).strip())
        for key in sorted(set(raw) - set(known))
    ]


def _no_file(path: str, config: str) -> list[Problem]:
    if Path(config).is_file():
        return []
    hint = 'Paths start at the folder you run from, the repository.'
    return [Problem(path, f'no such file: {config!r}.', hint)]


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


def source_checkpoint(grid: Grid, workshop: Workshop, *, train: bool = True) -> Path:
    """Returns the source model of a grid; trains it first where the grid says how.

    Args:
        grid: Names the checkpoint, or the config that trains it.
        workshop: Trains it below its folder, once for all seeds and all grids.
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
    if not train and not (workshop.root / run.name / 'trained.json').is_file():
        raise ConfigError(
            f'The source model {grid.source!r} is not trained yet, and two processes '
            'must not train it both. Call with `--source-only` once, then the shards.'
        )
    training = Experiment(grid.name, grid.title, (run,), {}, grid.seeds[:1])
    return workshop.run(training, grid.seeds[0])[0].student


class GridBench(Bench):
    """Does the runs of a grid below one folder.

    Args:
        grid: What to do.
        checkpoint: The source model.
        root: Everything is written below it.
        policy: As `Bench`.
    """

    def __init__(
        self, grid: Grid, checkpoint: Path, root: str | os.PathLike[str], **policy: Any
    ) -> None:
        super().__init__(root, **policy)
        self.grid = grid
        self.checkpoint = checkpoint
        self.failed: dict[str, str] = {}
        for method in grid.methods:
            self._text(method.config)  # mmengine reads one config at a time

    def run(self, runs: Sequence[GridRun]) -> None:
        """Does these runs, side by side.

        Raises:
            MMKDError: The first failure, unless `keep_going`; then it is noted in
                `failed`.
        """
        with self._side_by_side() as begin:
            begun: list[Future[Any]] = [begin(self._adapt, run) for run in runs]
            self._wait_for(begun)
            for run, future in zip(runs, begun):
                error = future.exception()
                if error is not None:
                    self.failed[run.name] = type(error).__name__
                    self.say(f'{self._label(run)} failed: {error}')

    def done(self, run: GridRun) -> AdaptResults | None:
        """Returns what a run left, ``None`` unless it is finished and up to date."""
        folder = self.root / run.name
        if read_stamp(folder / _STAMP).get('mark') != self._mark(run):
            return None
        try:
            found = read_results(folder)
        except DataError:  # removed or damaged since
            return None
        return None if found.missing else found

    def _label(self, run: GridRun) -> str:
        return f'{self.grid.label(run)} (seed {run.seed})'

    def _mark(self, run: GridRun) -> str:
        stat = self.checkpoint.stat()
        weights = f'{self.checkpoint.name} {stat.st_size} {stat.st_mtime_ns}'
        options = self.grid.options_of(run)
        return self._fingerprint(run.method.config, options, weights)

    def _adapt(self, run: GridRun) -> None:
        folder, mark = self.root / run.name, self._mark(run)
        before = float(self._begin_folder(folder, mark).get('seconds', 0.0))
        label = self._label(run)
        if self.done(run) is not None:
            self.say(f'{label}: done before, kept')
            return
        goes_on = (folder / _STATE).is_file()
        self.say(f'{label}: {"goes on" if goes_on else "begins"}')
        write_json(folder / 'begun.json', {'mark': mark, 'seconds': before})
        options = self.grid.options_of(run)
        seconds = before + self._step(
            [
                *(self.python, 'tools/test.py', run.method.config),
                *(str(self.checkpoint), '--work-dir', str(folder)),
                *(['--resume'] if goes_on else []),
                *('--cfg-options', *(f'{key}={v}' for key, v in options.items())),
            ],
            folder / 'adapt.log',
            f'adapt {run.name}',
            _Line(label, self),
        )
        missing = read_results(folder).missing
        if missing:
            raise DataError(
                f'{label} ended without an error, but {len(missing)} cells are '
                f'missing in {str(folder / "results.json")!r}. Look at '
                f'{str(folder / "adapt.log")!r}.'
            )
        write_json(folder / _STAMP, {'mark': mark, 'seconds': round(seconds, 1)})


class _Line:
    """Turns the loop's lines into progress: cells at once, images now and then."""

    def __init__(self, label: str, bench: Bench, *, every: float = 8.0) -> None:
        self.label, self.bench, self.every = label, bench, every
        self.last = 0.0

    def __call__(self, line: str) -> None:
        cell = _CELL.search(line)
        running = None if cell else _PROGRESS.search(line)
        if running and time.monotonic() - self.last < self.every:
            return
        found = cell or running
        if found:
            self.last = time.monotonic()
            self.bench.say(f'  {self.label}: {found[1]}')


def collect(bench: GridBench, *, note: str = '') -> dict[str, Any]:
    """Returns the figures of all finished runs, whichever shard did them.

    With several learning rates, ``best`` names for each method and order the one of
    the highest mean. It was chosen on this stream: report it on another.

    Args:
        bench: Knows where they are.
        note: What a reader should know besides.
    """
    grid = bench.grid
    found: dict[str, list[AdaptResults]] = {}
    sources = set()
    missing = []
    for run in grid.runs:
        results = bench.done(run)
        if results is None:
            missing.append({'run': grid.label(run), 'seed': run.seed})
            continue
        found.setdefault(grid.label(run), []).append(results)
        if results.method == 'Source':
            sources.add(grid.label(run))
    groups = [Group(name, runs, name in sources) for name, runs in found.items()]
    comparison = compare(groups)
    return {
        'experiment': grid.name,
        'title': grid.title,
        'command': f'python tools/adapt_grid.py {grid.file}',
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
        'versions': versions(),
        'note': note,
        'missing': missing,
        'failed': dict(bench.failed),
        'best': _best(grid, comparison),
        **comparison,
    }


def _best(grid: Grid, comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the learning rate of the highest mean, where there was a choice."""
    found = []
    for method in grid.methods:
        for order in grid.orders if len(method.learning_rates) > 1 else ():
            means = {}
            for rate in method.learning_rates:
                label = grid.label(GridRun(method, order, rate, grid.seeds[0]))
                summary = (comparison['runs'].get(label) or {}).get('mIoU')
                if summary:
                    means[rate] = summary['mean']
            if means:
                rate = max(means, key=lambda one: means[one])
                found.append(
                    {
                        'method': method.name,
                        'order': order,
                        'learning_rate': rate,
                        'mIoU': means[rate],
                        'tried': len(means),
                    }
                )
    return found
