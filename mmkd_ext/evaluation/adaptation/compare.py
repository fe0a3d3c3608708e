"""Several adaptation runs beside each other: seeds together, methods below each other.

Runs that differ in nothing but the seed are one row: mean and spread. Only a finished
run has a mean that can be compared, so an interrupted one gives its cells alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation.results import AdaptResults
from mmkd_ext.evaluation.adaptation.tables import (
    MISSING,
    run_settings,
    setting_text,
    shown_rounds,
)
from mmkd_ext.evaluation.gains import gain_text, summary, summary_text, verdict
from mmkd_ext.evaluation.tables import Table

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
_FIGURES: dict[str, Callable[[AdaptResults], float | None]] = {
    'mIoU': lambda run: run.mean,
    'worst': lambda run: run.worst['mIoU'] if run.worst else None,
    'last_minus_first': lambda run: run.drift,
    'forgetting': lambda run: run.forgetting,
    'predicted_classes': lambda run: run.per_image('predicted_classes'),
    'source_predicted_classes': lambda run: run.per_image('source_predicted_classes'),
    'updates': lambda run: run.total('updates'),
    'skipped': lambda run: run.total('skipped'),
    'rolled_back': lambda run: run.total('rolled_back'),
    'resets': lambda run: run.total('resets'),
    'forwards': lambda run: run.per_image('forwards'),
    'backwards': lambda run: run.per_image('backwards'),
    'images_per_second': lambda run: run.images_per_second(),
    'peak_memory_mb': lambda run: run.peak('peak_memory_mb'),
}


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

    @property
    def cells(self) -> set[tuple[int, str]]:
        """What its runs go through, in whichever order."""
        return set(self.runs[0].places)


def group_runs(runs: Sequence[AdaptResults]) -> list[Group]:
    """Puts the seeds of each method together and gives each group a label.

    The label is the method's name, and whatever tells it from others of that name:
    the settings that differ, else the folder of the file. What does not adapt comes
    first, the rest as given.
    """
    alike: dict[str, list[AdaptResults]] = {}
    for run in runs:
        alike.setdefault(_key(run), []).append(run)
    split = [part for found in alike.values() for part in _by_seed(found)]
    labels = [_label(part[0], [other[0] for other in split]) for part in split]
    groups = [
        Group(_unique(label, labels, part[0]), part, source=part[0].method == 'Source')
        for label, part in zip(labels, split)
    ]
    return sorted(groups, key=lambda group: not group.source)


def _key(run: AdaptResults) -> str:
    kept = {k: v for k, v in run.settings.items() if k not in _NOT_COMPARED}
    return json.dumps(kept, sort_keys=True, default=str)


def _by_seed(runs: list[AdaptResults]) -> list[list[AdaptResults]]:
    """Returns the runs as one group, or each alone when a seed occurs twice.

    Then something differs that the settings do not tell.
    """
    seeds = [run.settings.get('seed') for run in runs]
    return [runs] if len(set(seeds)) == len(seeds) else [[run] for run in runs]


def _label(run: AdaptResults, all_runs: Sequence[AdaptResults]) -> str:
    """Returns the method's name and the settings that tell it from its namesakes."""
    mine = _told(run)
    others = [_told(one) for one in all_runs if one.method == run.method]
    differ = [k for k in mine if any(one.get(k) != mine[k] for one in others)]
    if len(differ) > 1:  # these follow from others, or say nothing on their own
        differ = [k for k in differ if k not in ('config', 'source')]
    names = [f'{key.replace("_", " ")} {_short(mine[key])}' for key in differ]
    return ', '.join([run.method, *names])


def _told(run: AdaptResults) -> dict[str, Any]:
    """Returns the settings that a label may name; the rate for the optimizer's."""
    told = {'lr': run.learning_rate, **run.settings}
    for key in (*_NOT_COMPARED, 'method', 'optimizer'):
        told.pop(key, None)
    return told


def _short(value: Any) -> str:
    text = setting_text(value)
    return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 1]}…'


def _unique(label: str, labels: Sequence[str], run: AdaptResults) -> str:
    if labels.count(label) == 1:
        return label
    return f'{label} ({Path(run.path).resolve().parent.name or run.path})'


def compare(groups: Sequence[Group]) -> dict[str, Any]:
    """Returns mean, spread and values of every figure, and the gain over the source.

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
    first = group.runs[0]
    how = {k: v for k, v in run_settings(first).items() if k != 'seed'}
    found: dict[str, Any] = {
        'settings': how,
        'seeds': [run.settings.get('seed') for run in group.runs],
        'finished': len(group.finished),
        'missing': {
            str(run.settings.get('seed')): len(run.missing)
            for run in group.runs
            if run.missing
        },
    }
    for key, figure in _FIGURES.items():
        found[key] = _over(figure(run) for run in group.finished)
    found['domain_means'] = {
        domain: _over(run.domain_mean(domain) for run in group.finished)
        for domain in first.domains
    }
    found['round_means'] = {
        str(r): _over(run.round_mean(r) for run in group.runs) for r in first.rounds
    }
    found['cells'] = {
        str(r): {d: _over(run.miou(r, d) for run in group.runs) for d in first.domains}
        for r in first.rounds
    }
    over = _measure(group, groups)
    if over is not None:
        found['gain'] = _gain(group, over)
    return found


def _over(values: Any) -> dict[str, Any] | None:
    there = [float(value) for value in values if value is not None]
    return summary(there) if there else None


def _measure(group: Group, groups: Sequence[Group]) -> Group | None:
    """Returns the group that this one's gain is over."""
    fits = [one for one in groups if one.cells == group.cells]
    same_order = [one for one in fits if one.runs[0].domains == group.runs[0].domains]
    for choice in ([g for g in same_order if g.source], [g for g in fits if g.source]):
        if choice:
            return None if group.source else choice[0]
    # no source: the first of those with the same cells
    return None if fits[0] is group else fits[0]


def _gain(group: Group, over: Group) -> dict[str, Any] | None:
    """Returns the gain seed by seed, ``None`` without a pair of finished runs."""
    plain = {run.settings.get('seed'): run.mean for run in over.finished}
    single = next(iter(plain.values())) if len(plain) == 1 else None
    pairs = [
        (run.mean, plain.get(run.settings.get('seed'), single))
        for run in group.finished
    ]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not known:
        return None
    gain = summary([a - b for a, b in known])
    spread = summary([b for b in plain.values() if b is not None])
    return {'over': over.label, **gain, 'verdict': verdict(gain, spread)}


def comparison_table(content: Content, *, cells: bool = True) -> Table:
    """Returns a row a group: mIoU by round and domain, mean, and gain over the source.

    Args:
        content: What :func:`compare` gave.
        cells: Whether every domain has a column in a round; else the round's mean.
    """
    rounds, domains = shown_rounds(content['rounds'], 4), content['domains']
    rows = []
    for label, found in content['runs'].items():
        row = [label]
        for r in map(str, rounds):
            if cells:
                by_domain = found['cells'].get(r)
                row += [_mean_text(by_domain, domain) for domain in domains]
            else:
                row.append(_mean_text(found['round_means'], r))
        row += [_text(found['mIoU'], absent=MISSING), _seeds_text(found)]
        rows.append([*row, _gain_text(found)])
    columns = (
        [f'{r} {d}' for r in rounds for d in domains]
        if cells
        else [f'round {r}' for r in rounds]
    )
    header = ['method', *columns, 'mean', 'seeds', 'gain']
    return Table(header, rows, bold=_best(content))


def _mean_text(found: Content | None, key: str) -> str:
    """Returns a mean; ``-`` where the run has no such cell, and what is missing."""
    if found is None or key not in found:
        return '-'
    return MISSING if found[key] is None else format(found[key]['mean'], '.1f')


def _seeds_text(found: Content) -> str:
    done, begun = found['finished'], len(found['seeds'])
    return str(done) if done == begun else f'{done} of {begun} finished'


def _gain_text(found: Content) -> str:
    if 'gain' not in found:
        return ''
    gain = found['gain']
    if gain is None:
        return '-'
    text = gain_text(gain)
    return f'{text}, one seed' if gain['verdict'] == 'unknown' else text


def _best(content: Content) -> int | None:
    """Returns the row of the highest mean, unless the groups went other ways."""
    runs = list(content['runs'].values())
    shapes = {(len(run['cells']), tuple(sorted(run['domain_means']))) for run in runs}
    means = [run['mIoU']['mean'] for run in runs if run['mIoU']]
    if len(runs) < 2 or len(shapes) > 1 or not means:
        return None
    best = max(means)
    return next(
        i for i, r in enumerate(runs) if r['mIoU'] and r['mIoU']['mean'] == best
    )


def domain_table(content: Content) -> Table:
    """Returns the mIoU of each domain over all rounds, a row a group.

    Args:
        content: What :func:`compare` gave.
    """
    rows = [
        [
            label,
            *(_text(found['domain_means'].get(name)) for name in content['domains']),
        ]
        for label, found in content['runs'].items()
    ]
    return Table(['method', *content['domains']], rows)


def stability_table(content: Content) -> Table:
    """Returns what the mean does not say, a row a group."""
    columns = {
        'worst': ('worst cell', 1),
        'last_minus_first': ('last - first', 1),
        'forgetting': ('forgetting', 1),
        'predicted_classes': ('classes', 1),
        'source_predicted_classes': ('of source', 1),
    }
    return _figure_table(content, columns)


def work_comparison(content: Content) -> Table:
    """Returns what was done and what it cost, a row a group."""
    columns = {
        'updates': ('updates', 0),
        'skipped': ('skipped', 0),
        'rolled_back': ('rolled back', 0),
        'resets': ('resets', 0),
        'forwards': ('forwards', 2),
        'backwards': ('backwards', 2),
        'images_per_second': ('images/s', 2),
        'peak_memory_mb': ('peak MB', 0),
    }
    return _figure_table(content, columns)


def _figure_table(content: Content, columns: Mapping[str, tuple[str, int]]) -> Table:
    """Returns a column a figure: its key, with title and digits."""
    signed = ('last_minus_first', 'forgetting')
    rows = [
        [
            label,
            *(
                _text(found[key], sign=key in signed, digits=digits)
                for key, (_, digits) in columns.items()
            ),
        ]
        for label, found in content['runs'].items()
    ]
    return Table(['method', *(title for title, _ in columns.values())], rows)


def how_table(content: Content) -> Table:
    """Returns how each group was run."""
    keys = [
        *('order', 'rounds', 'reset', 'learning_rate', 'views', 'protocol', 'trainable')
    ]
    rows = [
        [
            label,
            *(_short(found['settings'].get(key)) for key in keys),
            ', '.join(str(seed) for seed in found['seeds']),
        ]
        for label, found in content['runs'].items()
    ]
    return Table(['method', *(k.replace('_', ' ') for k in keys), 'seeds'], rows)


def _text(
    of: Content | None, *, sign: bool = False, digits: int = 1, absent: str = '-'
) -> str:
    return absent if of is None else summary_text(of, sign=sign, digits=digits)
