"""Results of an experiment over several seeds, as JSON and as a table."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mmkd_ext.evaluation.experiment import Experiment, Outcome
from mmkd_ext.evaluation.machine import commit, describe_machine, versions
from mmkd_ext.evaluation.runs import class_ious
from mmkd_ext.evaluation.tables import Table, spread

__all__ = ['results', 'summary_table']


def results(
    experiment: Experiment,
    outcomes: Mapping[int, Sequence[Outcome]],
    *,
    note: str = '',
) -> dict[str, Any]:
    """Returns all that a reader needs to judge the figures and to repeat them.

    For each set and run: the values seed by seed, their mean and standard deviation
    (n - 1), and the same of each class. For each set, the gain is the difference of a
    distilled run and its plain twin *of the same seed*, so what the seed does to both
    cancels.

    Args:
        experiment: What was done.
        outcomes: Seed to what became of every run.
        note: What a reader should know besides.
    """
    seeds = list(outcomes)
    by_run = {
        run.name: [outcomes[seed][index] for seed in seeds]
        for index, run in enumerate(experiment.runs)
    }
    return {
        'experiment': experiment.name,
        'title': experiment.title,
        'command': f'python tools/repeat.py {experiment.source}',
        'date': time.strftime('%Y-%m-%d', time.gmtime()),
        'commit': commit(),
        'seeds': seeds,
        'machine': describe_machine(),
        'versions': versions(),
        'note': note,
        'runs': {
            run.name: {
                'title': run.title,
                'config': run.config,
                'teacher': run.teacher,
                'once': run.once,
                'train_seconds': [o.seconds for o in _distinct(by_run[run.name])],
            }
            for run in experiment.runs
        },
        'sets': {
            name: {
                'options': dict(options),
                'runs': {
                    run.name: _figures(_distinct(by_run[run.name]), name)
                    for run in experiment.runs
                },
                'gain': _gains(experiment, by_run, name),
            }
            for name, options in experiment.tests.items()
        },
    }


def summary_table(content: Mapping[str, Any], name: str) -> Table:
    """Returns mIoU of every run on set ``name``, mean and spread, and the gain."""
    figures = content['sets'][name]
    rows = []
    for run, about in content['runs'].items():
        value = figures['runs'][run]['mIoU']
        gain = figures['gain'].get(run)
        rows.append(
            [
                about['title'],
                _text(value),
                str(len(value['values'])),
                _text(gain, sign=True) if gain else '',
            ]
        )
    return Table(['run', 'mIoU', 'seeds', 'gain, seed by seed'], rows)


def _distinct(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Returns each training once: a shared teacher is one run, not one a seed."""
    return list({str(outcome.folder): outcome for outcome in outcomes}.values())


def _figures(outcomes: Sequence[Outcome], name: str) -> dict[str, Any]:
    metrics = [outcome.metrics[name] for outcome in outcomes]
    found = {
        key: _summary([float(m[key]) for m in metrics])
        for key in ('mIoU', 'mAcc', 'aAcc')
        if all(key in m for m in metrics)
    }
    classes = [class_ious(m) for m in metrics]
    shared = [c for c in classes[0] if all(c in other for other in classes)]
    return {**found, 'IoU': {c: _summary([k[c] for k in classes]) for c in shared}}


def _gains(
    experiment: Experiment, by_run: Mapping[str, Sequence[Outcome]], name: str
) -> dict[str, Any]:
    """Returns what each run with a teacher gains on the plain run before it."""
    plain = [run for run in experiment.runs if run.teacher is None and not run.once]
    gains = {}
    for run in experiment.runs:
        if run.teacher is None or not plain:
            continue
        pairs = zip(by_run[run.name], by_run[plain[-1].name])
        gains[run.name] = {
            'over': plain[-1].name,
            **_summary(
                [
                    float(mine.metrics[name]['mIoU'])
                    - float(other.metrics[name]['mIoU'])
                    for mine, other in pairs
                ]
            ),
        }
    return gains


def _summary(values: Sequence[float]) -> dict[str, Any]:
    of = spread(values)
    several = len(values) > 1
    return {
        'mean': round(of.mean, 2),
        'std': round(of.std, 2) if several else None,
        'values': [round(value, 2) for value in values],
    }


def _text(summary: Mapping[str, Any], *, sign: bool = False) -> str:
    mean = format(summary['mean'], '+.2f' if sign else '.2f')
    return mean if summary['std'] is None else f'{mean} ± {summary["std"]:.2f}'
