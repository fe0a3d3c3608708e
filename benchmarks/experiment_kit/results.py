"""Results of an experiment over several seeds, as JSON and as a table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from pandas import DataFrame

from experiment_kit.experiment import Experiment, Failure, Outcome
from experiment_kit.logs import Figures, curve, figures, read_scalars
from experiment_kit.machine import commit, describe_machine
from experiment_kit.statistics import (
    gain_text,
    interval,
    summary,
    summary_text,
    verdict,
)
from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.tables import number, text_table
from mmkd_ext.version import stack_versions

__all__ = ['cost_table', 'kd_shares', 'results', 'step_seconds', 'summary_table']

BySeed = Mapping[int, Outcome]
COMMON = 'without rare classes'  # mean of the other classes
LOWER = ('MSE',)  # figures of which less is better, so that their gain is what is less


def results(
    experiment: Experiment,
    outcomes: Mapping[int, Sequence[Outcome]],
    *,
    note: str = '',
    failures: Sequence[Failure] = (),
) -> dict[str, Any]:
    """Returns all that a reader needs to judge the figures and to repeat them.

    For each set and run: the values seed by seed, their mean and standard deviation
    (n - 1), and the same of each class. For each set, the gain is the difference of a
    distilled run and its plain twin *of the same seed*, so what the seed does to both
    cancels. For each run: how long a training step took, and which share of the loss
    the distillation had.

    A gain within the spread is called ``'none'``: see
    :func:`experiment_kit.statistics.verdict`.

    Args:
        experiment: What was done.
        outcomes: Seed to what became of every run; some may be missing.
        note: What a reader should know besides.
        failures: Why they are missing.
    """
    seeds = list(outcomes)
    by_run: dict[str, dict[int, Outcome]] = {}
    for seed in seeds:
        for outcome in outcomes[seed]:
            by_run.setdefault(outcome.run.name, {})[seed] = outcome
    there = [run for run in experiment.runs if run.tested and run.name in by_run]
    plain = _plain(experiment, by_run)
    return {
        'experiment': experiment.name,
        'title': experiment.title,
        'command': f'python benchmarks/repeat.py {experiment.source}',
        'date': time.strftime('%Y-%m-%d', time.gmtime()),
        'commit': commit(),
        'seeds': seeds,
        'machine': describe_machine(),
        'versions': stack_versions(),
        'note': note,
        'failed': [
            {
                'run': failure.run.name,
                'seed': failure.seed,
                'why': type(failure.why).__name__,
            }
            for failure in failures
        ],
        'runs': {
            run.name: {
                'title': run.title,
                'config': run.config,
                'teacher': run.teacher,
                'once': run.once,
                **({'options': dict(run.options)} if run.options else {}),
                **(
                    {'weight_factor': run.weight_factor}
                    if run.weight_factor != 1.0
                    else {}
                ),
                'train_seconds': [o.seconds for o in _distinct(by_run[run.name])],
                **_training(by_run[run.name], by_run.get(plain, {})),
            }
            for run in there
        },
        'sets': {
            name: {
                'options': dict(options),
                'lead': _lead(by_run, name),
                **({'rare': list(experiment.rare)} if experiment.rare else {}),
                'runs': {
                    run.name: _figures(
                        _distinct(by_run[run.name]), name, experiment.rare
                    )
                    for run in there
                },
                'gain': {
                    run.name: _gain(by_run[run.name], by_run[over], over, name)
                    for run in there
                    for over in [run.over or plain]
                    if run.name != over and not run.once and over in by_run
                },
            }
            for name, options in experiment.tests.items()
        },
    }


def summary_table(content: Mapping[str, Any], name: str) -> DataFrame:
    """Returns every run's figures on set ``name``, mean and spread, and the gain.

    The figure that leads stands first; a detection shows AP50 and each class as well,
    an experiment that names rare classes the mean of the others. `minutes` is how long
    a training took.
    """
    part = content['sets'][name]
    lead = part.get('lead', 'mIoU')
    shown = [lead, *(['AP50'] if lead == 'AP' else [])]
    shown += [COMMON] if any(COMMON in found for found in part['runs'].values()) else []
    by_class = [found.get('class AP', {}) for found in part['runs'].values()]
    classes = list(dict.fromkeys(label for found in by_class for label in found))
    rows = []
    for run, about in content['runs'].items():
        values = part['runs'][run]
        cells = [values.get(figure) for figure in shown]
        cells += [values.get('class AP', {}).get(label) for label in classes]
        gain = part['gain'].get(run)
        minutes = fmean(about.get('train_seconds') or [0]) / 60
        rows.append(
            [
                about['title'],
                *(summary_text(cell) if cell else '-' for cell in cells),
                str(len(values[lead]['values'])),
                gain_text(gain) if gain else '',
                f'{minutes:.1f}' if minutes else '',
                f'{gain["mean"] / minutes:+.1f}' if gain and minutes else '',
            ]
        )
    header = ['run', *shown, *classes, 'seeds', 'gain, seed by seed']
    header += ['minutes', 'gain a minute']
    return text_table(header, rows)


def cost_table(content: Mapping[str, Any]) -> DataFrame:
    """Returns what each distillation adds: to a step's time, and to the loss."""
    rows = []
    for about in content['runs'].values():
        step, share = about.get('step'), about.get('kd_share', {}).get('all', {})
        if step is not None:
            shares = [number(share.get(key)) for key in ('first', 'mean')]
            cells = [f'{1000 * step["seconds"]:.0f}', number(step.get('to_plain'), 2)]
            rows.append([about['title'], *cells, *shares])
    header = ['run', 'step, ms', 'to plain', 'KD share at first, %', 'on average, %']
    return text_table(header, rows)


def _plain(experiment: Experiment, by_run: Mapping[str, Any]) -> str:
    """Returns the plain run that gains are taken over, the first; '' without one."""
    names = [
        run.name
        for run in experiment.runs
        if run.teacher is None and not run.once and run.name in by_run
    ]
    return names[0] if names else ''


def _distinct(outcomes: BySeed) -> list[Outcome]:
    """Returns each training once: a shared teacher is one run, not one a seed."""
    return list({str(o.folder): o for o in outcomes.values()}.values())


def _read(outcome: Outcome, name: str) -> Figures:
    return figures(outcome.metrics[name])


def _lead(by_run: Mapping[str, BySeed], name: str) -> str:
    for outcomes in by_run.values():
        for outcome in outcomes.values():
            if outcome.run.tested:
                return _read(outcome, name).lead
    return ''


def _figures(
    outcomes: Sequence[Outcome], name: str, rare: Sequence[str] = ()
) -> dict[str, Any]:
    found = [_read(outcome, name) for outcome in outcomes]
    keys = [k for k in found[0].values if all(k in one.values for one in found)]
    labels = [k for k in found[0].classes if all(k in one.classes for one in found)]
    common = [label for label in labels if label not in rare]
    return {
        **{key: summary([one.values[key] for one in found]) for key in keys},
        **({COMMON: _mean_of(found, common)} if rare and common else {}),
        found[0].of_classes: {
            label: summary([one.classes[label] for one in found]) for label in labels
        },
    }


def _mean_of(found: Sequence[Figures], labels: Sequence[str]) -> dict[str, Any]:
    """Returns the mean over some classes of each training, summed up."""
    return summary([fmean([one.classes[label] for label in labels]) for one in found])


def _gain(mine: BySeed, others: BySeed, over: str, name: str) -> dict[str, Any]:
    """Returns what a run gains on another, the plain one, seed by seed."""
    pairs = [
        (_read(mine[seed], name), _read(others[seed], name))
        for seed in mine
        if seed in others
    ]
    if not pairs:
        return {}
    lead = pairs[0][0].lead
    sign = -1 if lead in LOWER else 1
    gain = summary([sign * (one.values[lead] - two.values[lead]) for one, two in pairs])
    plain = summary([two.values[lead] for _, two in pairs])
    return {
        'over': over,
        **gain,
        'ci95': interval(gain['values']),
        'verdict': verdict(gain, plain),
        'classes': {
            label: summary(
                [one.classes[label] - two.classes[label] for one, two in pairs]
            )
            for label in pairs[0][0].classes
            if all(label in one.classes and label in two.classes for one, two in pairs)
        },
    }


def _training(mine: BySeed, plain: BySeed) -> dict[str, Any]:
    """Returns the time of a step and the share of the distillation, where logged."""
    found: dict[str, Any] = {}
    seconds = _steps(mine)
    if not seconds:
        return found
    found['step'] = {
        'seconds': round(statistics.median(seconds.values()), 4),
        'values': [round(value, 4) for value in seconds.values()],
    }
    beside = _steps(plain)
    # side by side in time, seed by seed, so that what else the machine did cancels
    ratios = [seconds[seed] / beside[seed] for seed in seconds if seed in beside]
    if ratios:
        found['step']['to_plain'] = round(statistics.median(ratios), 3)
    shares = [kd_shares(read_scalars(o.folder)) for o in _distinct(mine)]
    if all(shares):
        found['kd_share'] = {
            link: {
                when: round(fmean(one[link][when] for one in shares), 2)
                for when in shares[0][link]
            }
            for link in shares[0]
            if all(link in one for one in shares)
        }
    return found


def _steps(outcomes: BySeed) -> dict[int, float]:
    times = {}
    for seed, outcome in outcomes.items():
        try:
            seconds = step_seconds(read_scalars(outcome.folder))
        except DataError:
            continue  # the log was removed; the checkpoint and the figures are there
        if seconds is not None:
            times[seed] = seconds
    return times


def step_seconds(scalars: DataFrame) -> float | None:
    """Returns how long a training step took: the median of what was logged.

    The first record is left out where there are others: it holds the warm-up. ``None``
    when no time was logged.

    Args:
        scalars: What :func:`experiment_kit.logs.read_scalars` gave.
    """
    times = curve(scalars[scalars['loss'].notna()], 'time')
    times = times.iloc[1:] if len(times) > 1 else times
    return float(times.median()) if len(times) else None


def kd_shares(scalars: DataFrame) -> dict[str, dict[str, float]]:
    """Returns which share of the loss each link of a distillation has, in percent.

    For ``'all'`` links together and for each: at the ``first`` and ``last`` record, and
    the ``mean`` of all. Empty for a run that distils nothing.

    Args:
        scalars: What :func:`experiment_kit.logs.read_scalars` gave.
    """
    names = [n for n in scalars if n.startswith('distill.') and 'loss' in n]
    links = scalars[names].dropna(how='all')
    losses = scalars['loss'].loc[links.index]
    links = links.set_axis([name[len('distill.') :] for name in names], axis=1)
    links.insert(0, 'all', links.sum(axis=1))
    shares = (100 * links.div(losses, axis=0))[losses > 0]
    if not names or shares.empty:
        return {}
    return {
        name: {
            'first': round(float(values.iloc[0]), 2),
            'last': round(float(values.iloc[-1]), 2),
            'mean': round(float(values.mean()), 2),
        }
        for name, values in shares.items()
    }
