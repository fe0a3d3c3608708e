"""Several adaptation runs beside each other: seeds together, methods below each other.

Runs that differ in nothing but the seed are one row: mean and deviation. Only a
finished run has a mean that can be compared; an interrupted one gives its cells alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandas import DataFrame

from experiment_kit.statistics import gain_text, summary, summary_text, verdict
from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation.results import AdaptResults, finite
from mmkd_ext.evaluation.adaptation.tables import (
    MISSING,
    run_settings,
    setting_text,
    shown_rounds,
)
from mmkd_ext.evaluation.tables import text_table

__all__ = [
    'Group',
    'compare',
    'comparison_table',
    'domain_table',
    'group_runs',
    'how_table',
    'stability_table',
    'work_comparison',
]

Content = Mapping[str, Any]
_NOT_COMPARED = ('seed', 'versions')
_LONGEST = 40


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Args:
        label: What tables call them.
        runs: One a seed.
        source: Whether it does not adapt, so that others are measured by it.
    """

    label: str
    runs: Sequence[AdaptResults]
    source: bool = False

    def __post_init__(self) -> None:
        if not self.runs:
            raise DataError(f'`{self.label}` has no runs to compare.')

    @property
    def finished(self) -> list[AdaptResults]:
        """The runs of which every cell has a mIoU."""
        return [run for run in self.runs if run.whole_rounds == run.rounds]


def group_runs(runs: Sequence[AdaptResults]) -> list[Group]:
    """Puts the seeds of each method together and gives each group a label.

    The label is the method's name, and whatever tells it from others of that name:
    the settings that differ, else the folder of the file. What does not adapt comes
    first, the rest as given.
    """
    alike: dict[str, list[AdaptResults]] = {}
    for run in runs:
        compared = {k: v for k, v in run.settings.items() if k not in _NOT_COMPARED}
        key = json.dumps(compared, sort_keys=True, default=str)
        alike.setdefault(key, []).append(run)
    split: list[list[AdaptResults]] = []
    for same in alike.values():
        seeds = {run.settings.get('seed') for run in same}
        # a seed that occurs twice: something differs that the settings do not tell
        split += [same] if len(seeds) == len(same) else [[run] for run in same]
    labels = [_label(part[0], [other[0] for other in split]) for part in split]
    groups = []
    for label, part in zip(labels, split):
        if labels.count(label) > 1:
            folder = Path(part[0].path).resolve().parent.name
            label = f'{label} ({folder or part[0].path})'
        groups.append(Group(label, part, source=part[0].method == 'Source'))
    return sorted(groups, key=lambda group: not group.source)


def _label(run: AdaptResults, all_runs: Sequence[AdaptResults]) -> str:
    """Returns the method's name and the settings that tell it from its namesakes."""

    def told(of: AdaptResults) -> dict[str, Any]:
        left_out = (*_NOT_COMPARED, 'method', 'optimizer')
        known = {'lr': of.learning_rate, **of.settings}
        return {key: value for key, value in known.items() if key not in left_out}

    mine = told(run)
    others = [told(other) for other in all_runs if other.method == run.method]
    differ = [k for k in mine if any(other.get(k) != mine[k] for other in others)]
    if len(differ) > 1:  # these follow from others, or say nothing on their own
        differ = [k for k in differ if k not in ('config', 'source')]
    names = [f'{key.replace("_", " ")} {_short(mine[key])}' for key in differ]
    return ', '.join([run.method, *names])


def _short(value: Any) -> str:
    text = setting_text(value)
    return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 1]}…'


def compare(groups: Sequence[Group]) -> dict[str, Any]:
    """Returns mean, deviation and values of every figure, and the gain over the source.

    The gain is the difference of two finished runs *of the same seed* over the same
    cells; a group of one run serves every seed. Without a group that does not adapt,
    the first one is measured by.

    Raises:
        DataError: Two groups have the same label.
    """
    labels = [group.label for group in groups]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise DataError(f'Two groups are called {twice[0]!r}: name them apart.')
    return {
        'domains': list(dict.fromkeys(d for g in groups for d in g.runs[0].domains)),
        'rounds': max((len(g.runs[0].rounds) for g in groups), default=0),
        'runs': {group.label: _figures(group, groups) for group in groups},
    }


def _figures(group: Group, groups: Sequence[Group]) -> dict[str, Any]:
    first, finished = group.runs[0], group.finished
    how = {k: v for k, v in run_settings(first).items() if k != 'seed'}
    seeds = [run.settings.get('seed') for run in group.runs]
    values = [run.figures for run in finished]
    figures: dict[str, Any] = {
        'settings': how,
        'seeds': seeds,
        'finished': len(finished),
        'missing': {
            str(seed): len(run.missing)
            for seed, run in zip(seeds, group.runs)
            if run.missing
        },
        **{key: _over(of[key] for of in values) for key in first.figures},
        'domain_means': {
            domain: _over(run.domain_means[domain] for run in finished)
            for domain in first.domains
        },
        'round_means': {
            str(r): _over(run.round_means[r] for run in group.runs)
            for r in first.rounds
        },
        'cells': {
            str(r): {
                d: _over(run.miou.loc[r, d] for run in group.runs)
                for d in first.domains
            }
            for r in first.rounds
        },
    }
    over = _baseline(group, groups)
    if over is not None:
        figures['gain'] = _gain(group, over)
    return figures


def _over(values: Iterable[Any]) -> dict[str, Any] | None:
    known = [value for value in map(finite, values) if value is not None]
    return summary(known) if known else None


def _baseline(group: Group, groups: Sequence[Group]) -> Group | None:
    """Returns the group that this one's gain is over: a source, of the same order."""
    mine = group.runs[0]
    fits = [g for g in groups if set(g.runs[0].places) == set(mine.places)]
    sources = [g for g in fits if g.source]
    if sources:
        same = [g for g in sources if g.runs[0].domains == mine.domains]
        return None if group.source else [*same, *sources][0]
    return None if fits[0] is group else fits[0]


def _gain(group: Group, over: Group) -> dict[str, Any] | None:
    """Returns the gain seed by seed, ``None`` without a pair of finished runs."""
    plain = {run.settings.get('seed'): run.mean for run in over.finished}
    single = next(iter(plain.values())) if len(plain) == 1 else None
    differences = [
        run.mean - other
        for run in group.finished
        if (other := plain.get(run.settings.get('seed'), single)) is not None
        and run.mean is not None
    ]
    if not differences:
        return None
    gain, base = summary(differences), _over(plain.values())
    return {'over': over.label, **gain, 'verdict': verdict(gain, base or {'std': 0})}


def comparison_table(content: Content, *, cells: bool = True) -> DataFrame:
    """Returns a row a group: mIoU by round and domain, mean, and gain over the source.

    Args:
        content: What :func:`compare` gave.
        cells: Whether every domain has a column in a round; else the round's mean.
    """
    rounds, domains = shown_rounds(content['rounds'], 4), content['domains']
    rows = []
    for label, of in content['runs'].items():
        row = [label]
        for r in map(str, rounds):
            if cells:
                row += [_mean_text(of['cells'].get(r), domain) for domain in domains]
            else:
                row.append(_mean_text(of['round_means'], r))
        done, begun = of['finished'], len(of['seeds'])
        seeds = str(done) if done == begun else f'{done} of {begun} finished'
        row += [MISSING if of['mIoU'] is None else _text(of['mIoU']), seeds]
        rows.append([*row, _gain_text(of)])
    columns = (
        [f'{r} {d}' for r in rounds for d in domains]
        if cells
        else [f'round {r}' for r in rounds]
    )
    header = ['method', *columns, 'mean', 'seeds', 'gain']
    return text_table(header, rows, bold=_best(content))


def _mean_text(of: Content | None, key: str) -> str:
    """Returns a mean; ``-`` where the run has no such cell, and what is missing."""
    if of is None or key not in of:
        return '-'
    return MISSING if of[key] is None else format(of[key]['mean'], '.1f')


def _gain_text(of: Content) -> str:
    if 'gain' not in of:
        return ''
    gain = of['gain']
    if gain is None:
        return '-'
    return gain_text(gain) + (', one seed' if gain['verdict'] == 'unknown' else '')


def _best(content: Content) -> int | None:
    """Returns the row of the highest mean, unless the groups went other ways."""
    runs = list(content['runs'].values())
    shapes = {(len(run['cells']), tuple(sorted(run['domain_means']))) for run in runs}
    means = [run['mIoU']['mean'] if run['mIoU'] else -1.0 for run in runs]
    if len(runs) < 2 or len(shapes) > 1 or max(means) < 0:
        return None
    return means.index(max(means))


def domain_table(content: Content) -> DataFrame:
    """Returns the mIoU of each domain over all rounds, a row a group.

    Args:
        content: What :func:`compare` gave.
    """
    rows = [
        [label, *(_text(of['domain_means'].get(name)) for name in content['domains'])]
        for label, of in content['runs'].items()
    ]
    return text_table(['method', *content['domains']], rows)


def stability_table(content: Content) -> DataFrame:
    """Returns what the mean does not say, a row a group."""
    columns = {
        'worst': ('worst cell', 1),
        'last_minus_first': ('last - first', 1),
        'forgetting': ('forgetting', 1),
        'predicted_classes': ('classes', 1),
        'source_predicted_classes': ('of source', 1),
    }
    return _figure_table(content, columns)


def work_comparison(content: Content) -> DataFrame:
    """Returns what was done and what it cost, a row a group."""
    columns = {
        'updates': ('updates', 0),
        'skipped': ('skipped', 0),
        'resets': ('resets', 0),
        'forwards': ('forwards', 2),
        'backwards': ('backwards', 2),
        'images_per_second': ('images/s', 2),
        'peak_memory_mb': ('peak MB', 0),
    }
    return _figure_table(content, columns)


def _figure_table(
    content: Content, columns: Mapping[str, tuple[str, int]]
) -> DataFrame:
    """Returns a column a figure: its key, with title and digits."""
    signed = ('last_minus_first', 'forgetting')
    rows = [
        [
            label,
            *(
                _text(of[key], sign=key in signed, digits=digits)
                for key, (_, digits) in columns.items()
            ),
        ]
        for label, of in content['runs'].items()
    ]
    return text_table(['method', *(title for title, _ in columns.values())], rows)


def how_table(content: Content) -> DataFrame:
    """Returns how each group was run."""
    keys = [
        *('order', 'rounds', 'reset', 'learning_rate', 'views', 'protocol', 'trainable')
    ]
    rows = [
        [
            label,
            *(_short(of['settings'].get(key)) for key in keys),
            ', '.join(str(seed) for seed in of['seeds']),
        ]
        for label, of in content['runs'].items()
    ]
    header = ['method', *(key.replace('_', ' ') for key in keys), 'seeds']
    return text_table(header, rows)


def _text(of: Content | None, *, sign: bool = False, digits: int = 1) -> str:
    return '-' if of is None else summary_text(of, sign=sign, digits=digits)
