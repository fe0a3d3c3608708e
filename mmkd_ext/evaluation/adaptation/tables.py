"""The tables of one adaptation run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pandas import DataFrame, Series

from mmkd_ext.evaluation.adaptation.results import AdaptResults, finite
from mmkd_ext.evaluation.tables import number, text_table

__all__ = [
    'MISSING',
    'MOST_ROUNDS',
    'cells_csv',
    'class_table',
    'event_table',
    'round_table',
    'run_settings',
    'setting_text',
    'settings_table',
    'shown_rounds',
    'summarise',
    'summary_table',
    'work_table',
]

MISSING = 'missing'
#: Rounds that a table shows.
MOST_ROUNDS = 20
_COUNTS = ('updates', 'skipped', 'resets')
_WORK = ('predicted_classes', 'source_predicted_classes', 'forwards', 'backwards')
_OWN = ('order', 'rounds', 'reset', 'learning_rate', 'views', 'seed', 'protocol',
        'trainable')


def run_settings(results: AdaptResults) -> dict[str, Any]:
    """Returns what every output of a run shows: how it was done."""
    known = {
        **results.settings,
        'rounds': len(results.rounds),
        'learning_rate': results.learning_rate,
    }
    return {'method': results.method, **{key: known.get(key) for key in _OWN}}


def settings_table(results: AdaptResults) -> DataFrame:
    """Returns a row a setting, first those that every output shows."""
    shown = {**run_settings(results), **results.settings, 'method': results.method}
    rows = [[key.replace('_', ' '), setting_text(v)] for key, v in shown.items()]
    return text_table(['setting', 'value'], rows)


def setting_text(value: Any) -> str:
    """Returns a setting in a few words.

    Examples:
        >>> setting_text(['fog', 'night']), setting_text({'lr': 1e-4})
        ('fog, night', 'lr=0.0001')
        >>> setting_text([{}, {'flip': True}])
        '2: plain; flip=true'
    """
    if value is None:
        return '-'
    if isinstance(value, Mapping):
        return ', '.join(f'{k}={_inner_text(v)}' for k, v in value.items()) or 'plain'
    if isinstance(value, (list, tuple)):
        if any(isinstance(one, Mapping) for one in value):  # the views of an image
            return f'{len(value)}: ' + '; '.join(setting_text(one) for one in value)
        return ', '.join(_inner_text(one) for one in value) or 'none'
    return str(value)


def _inner_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def summarise(results: AdaptResults) -> dict[str, Any]:
    """Returns every summary figure of a run; what cannot be told is ``None``."""
    worst, whole, figures = results.worst, results.whole_rounds, results.figures
    events: Counter[str] = Counter()
    for event in results.events:
        events[str(event.get('action'))] += int(event.get('times', 1))
    return {
        'file': results.path,
        'settings': run_settings(results),
        'cells': len(results.cells),
        'missing': [{'round': r, 'domain': d} for r, d in results.missing],
        'mean': figures.pop('mIoU'),
        'round_means': {str(r): finite(v) for r, v in results.round_means.items()},
        'domain_means': {d: finite(v) for d, v in results.domain_means.items()},
        'last_round': whole[-1] if whole else None,
        'class_means': {c: finite(v) for c, v in results.ious.mean().items()},
        **figures,
        'worst': {'round': worst[0], 'domain': worst[1], 'mIoU': figures['worst']}
        if worst
        else None,
        'events': dict(events),
    }


def summary_table(results: AdaptResults) -> DataFrame:
    """Returns a row a figure of the whole run."""
    of = summarise(results)
    worst, last = of['worst'], of['last_round']
    count = f'mean of {of["cells"]} of {len(results.places)} cells'
    place = f' ({worst["domain"]}, round {worst["round"]})' if worst else ''
    change = f'round {last} minus round 1' if last else 'last minus first round'
    predicted, source, forwards, backwards = (of[key] for key in _WORK)
    rows = {
        f'mIoU, {count if of["missing"] else "mean"}': number(of['mean']),
        'worst cell': number(worst['mIoU'] if worst else None) + place,
        change: number(of['last_minus_first'], sign=True),
        'forgetting: source mIoU, after minus before': number(
            of['forgetting'], sign=True
        ),
        'predicted classes an image (source model)': (
            f'{number(predicted)} ({number(source)})'
        ),
        'updates / skipped / resets': ' / '.join(
            number(of[key], 0) for key in _COUNTS
        ),
        'forwards / backwards an image': f'{number(forwards, 2)} / '
        f'{number(backwards, 2)}',
        'images/s': number(of['images_per_second'], 2),
        'peak memory, MB': number(of['peak_memory_mb'], 0),
    }
    return text_table(['figure', 'value'], list(rows.items()))


def shown_rounds(rounds: int, most: int = MOST_ROUNDS) -> list[int]:
    """Returns the rounds that a table shows: evenly spaced, first and last.

    Examples:
        >>> shown_rounds(10, 4), shown_rounds(3, 4), shown_rounds(100, 4)
        ([1, 4, 7, 10], [1, 2, 3], [1, 34, 67, 100])
    """
    if rounds <= most:
        return list(range(1, rounds + 1))
    return [1 + step * (rounds - 1) // (most - 1) for step in range(most)]


def round_table(results: AdaptResults) -> DataFrame:
    """Returns the mIoU in percent, a row a round and a column a domain.

    Of many rounds `MOST_ROUNDS` are shown; means are over all. The mean of a round
    stands only where all its cells are there; the last row has the mean of the cells
    that are there.
    """
    missing, means = set(results.missing), results.round_means
    rows = [
        [
            str(round_),
            *(
                MISSING if (round_, domain) in missing else number(value)
                for domain, value in results.miou.loc[round_].items()
            ),
            number(means[round_]),
        ]
        for round_ in shown_rounds(len(results.rounds))
    ]
    label = 'mean so far' if missing else 'mean'
    rows.append([label, *map(number, results.domain_means), number(results.mean)])
    header = ['round', *results.domains, 'mean']
    return text_table(header, rows, bold=len(rows) - 1)


def work_table(results: AdaptResults) -> DataFrame:
    """Returns what was done and what it cost, a row a round; see `round_table`."""
    source = {entry.get('round'): entry.get('mIoU') for entry in results.source_eval}
    rows = [
        [
            'all' if round_ is None else str(round_),
            *(number(results.total(key, round_), 0) for key in _COUNTS),
            *(number(results.per_image(key, round_), 1) for key in _WORK),
            number(results.images_per_second(round_), 2),
            number(results.peak('peak_memory_mb', round_), 0),
            *([number(source.get(round_) if round_ else None)] if source else []),
        ]
        for round_ in [*shown_rounds(len(results.rounds)), None]
    ]
    header = [
        *('round', 'updates', 'skipped', 'resets', 'classes'),
        *('classes of source', 'forwards', 'backwards', 'images/s', 'peak MB'),
        *(['mIoU on source'] if source else []),
    ]
    return text_table(header, rows, bold=len(rows) - 1)


def class_table(results: AdaptResults) -> DataFrame:
    """Returns the IoU of each class: by domain, overall, and last minus first round.

    A figure is the mean over the cells in which the class has an IoU; ``-`` where it
    has none.
    """
    ious, whole = results.ious, results.whole_rounds
    by_domain = ious.groupby('domain').mean().reindex(results.domains)
    overall, change = ious.mean(), Series(float('nan'), index=ious.columns)
    if len(whole) > 1:
        by_round = ious.groupby('round').mean()
        change = by_round.loc[whole[-1]] - by_round.loc[whole[0]]
    rows = [
        [
            label,
            *map(number, by_domain[label]),
            number(overall[label]),
            number(change[label], sign=True),
        ]
        for label in results.classes
    ]
    return text_table(['class', *results.domains, 'mean', 'last minus first'], rows)


def event_table(events: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Returns what the guard and the loop did, a row an event."""

    def signals(event: Mapping[str, Any]) -> str:
        return ', '.join(
            f'{key} {value:.4g}' if isinstance(value, float) else f'{key} {value}'
            for key, value in (event.get('signals') or {}).items()
        )

    rows = [
        [
            str(event.get('step', '-')),
            ', '.join(str(event.get(k, '-')) for k in ('round', 'domain', 'index')),
            str(event.get('action', '-')).replace('_', ' '),
            str(event.get('times', 1)),
            str(event.get('reason', '')),
            signals(event),
        ]
        for event in events
    ]
    header = ['step', 'round, domain, image', 'action', 'images', 'reason', 'signals']
    return text_table(header, rows)


def cells_csv(runs: Sequence[AdaptResults]) -> str:
    """Returns a row a cell, with how the run was done; a missing one has no figures."""
    tables = []
    for run in runs:
        index = pd.MultiIndex.from_tuples(run.places, names=['round', 'domain'])
        table = run.cells.reindex(index).reset_index()
        settings = {
            key: '' if value is None else setting_text(value)
            for key, value in run_settings(run).items()
        }
        for place, (key, value) in enumerate({'file': run.path, **settings}.items()):
            table.insert(place, key, value)
        tables.append(table)
    text: str = pd.concat(tables).to_csv(index=False, float_format='%.6g')
    return text
