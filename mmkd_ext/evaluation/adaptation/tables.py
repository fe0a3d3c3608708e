"""The tables of one adaptation run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mmkd_ext.evaluation.adaptation.results import AdaptResults, Cell
from mmkd_ext.evaluation.tables import Table

__all__ = [
    'MISSING',
    'MOST_ROUNDS',
    'cells_csv',
    'class_table',
    'csv_text',
    'number',
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
_COUNTS = ('updates', 'skipped', 'rolled_back', 'resets')
_WORK = ('predicted_classes', 'source_predicted_classes', 'forwards', 'backwards')


def number(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Returns a figure as tables show it, ``-`` when there is none.

    Examples:
        >>> number(3.14159), number(2, 0), number(0.25, sign=True), number(None)
        ('3.1', '2', '+0.2', '-')
    """
    if value is None:
        return '-'
    return format(value, f'{"+" if sign else ""}.{digits}f')


def run_settings(results: AdaptResults) -> dict[str, Any]:
    """Returns what every output of a run shows: how it was done."""
    settings = results.settings
    return {
        'method': results.method,
        'order': settings.get('order'),
        'rounds': len(results.rounds),
        'reset': settings.get('reset'),
        'learning_rate': results.learning_rate,
        'views': settings.get('views'),
        'seed': settings.get('seed'),
        'protocol': settings.get('protocol'),
        'trainable': settings.get('trainable'),
    }


def settings_table(results: AdaptResults) -> Table:
    """Returns a row a setting, first those that every output shows."""
    shown = dict(run_settings(results))
    shown.update((k, v) for k, v in results.settings.items() if k != 'method')
    rows = [[key.replace('_', ' '), setting_text(v)] for key, v in shown.items()]
    return Table(['setting', 'value'], rows)


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
    worst, whole = results.worst, results.whole_rounds
    return {
        'file': results.path,
        'settings': run_settings(results),
        'cells': len(results.cells),
        'missing': [{'round': r, 'domain': d} for r, d in results.missing],
        'mean': results.mean,
        'round_means': {str(r): results.round_mean(r) for r in results.rounds},
        'domain_means': {d: results.domain_mean(d) for d in results.domains},
        'worst': _named_cell(worst) if worst else None,
        'last_minus_first': results.drift,
        'last_round': whole[-1] if whole else None,
        'forgetting': results.forgetting,
        'class_means': {c: results.iou(c, results.places) for c in results.classes},
        **{key: results.per_image(key) for key in _WORK},
        **{key: results.total(key) for key in _COUNTS},
        'events': _tally(results),
        'images_per_second': results.images_per_second(),
        'peak_memory_mb': results.peak('peak_memory_mb'),
    }


def _named_cell(cell: Cell) -> dict[str, Any]:
    return {'round': cell.round, 'domain': cell.domain, 'mIoU': cell['mIoU']}


def _tally(results: AdaptResults) -> dict[str, int]:
    """Returns how often the guard and the loop did what."""
    found: dict[str, int] = {}
    for event in results.events:
        action = str(event.get('action'))
        found[action] = found.get(action, 0) + int(event.get('times', 1))
    return found


def summary_table(results: AdaptResults) -> Table:
    """Returns a row a figure of the whole run."""
    found = summarise(results)
    worst, last = found['worst'], found['last_round']
    count = f'mean of {found["cells"]} of {len(results.places)} cells'
    rows = [
        [f'mIoU, {count}' if found['missing'] else 'mIoU, mean', number(found['mean'])],
        [
            'worst cell',
            f'{number(worst["mIoU"])} ({worst["domain"]}, round {worst["round"]})'
            if worst
            else '-',
        ],
        [
            f'round {last} minus round 1' if last else 'last minus first round',
            number(found['last_minus_first'], sign=True),
        ],
        ['forgetting: source mIoU, after minus before', _signed(found['forgetting'])],
        [
            'predicted classes an image (source model)',
            f'{number(found["predicted_classes"])} '
            f'({number(found["source_predicted_classes"])})',
        ],
        [
            'updates / skipped / rolled back / resets',
            ' / '.join(number(found[key], 0) for key in _COUNTS),
        ],
        [
            'forwards / backwards an image',
            f'{number(found["forwards"], 2)} / {number(found["backwards"], 2)}',
        ],
        ['images/s', number(found['images_per_second'], 2)],
        ['peak memory, MB', number(found['peak_memory_mb'], 0)],
    ]
    return Table(['figure', 'value'], rows)


def _signed(value: float | None) -> str:
    return number(value, sign=True)


def shown_rounds(rounds: int, most: int = MOST_ROUNDS) -> list[int]:
    """Returns the rounds that a table shows: evenly spaced, first and last.

    Examples:
        >>> shown_rounds(10, 4), shown_rounds(3, 4), shown_rounds(100, 4)
        ([1, 4, 7, 10], [1, 2, 3], [1, 34, 67, 100])
    """
    if rounds <= most:
        return list(range(1, rounds + 1))
    return [1 + step * (rounds - 1) // (most - 1) for step in range(most)]


def round_table(results: AdaptResults) -> Table:
    """Returns the mIoU in percent, a row a round and a column a domain.

    Of many rounds `MOST_ROUNDS` are shown; means are over all.

    The mean of a round stands only where all its cells are there; the last row has
    the mean of the cells that are there.
    """
    rows = []
    for round_ in shown_rounds(len(results.rounds)):
        cells = [_cell_text(results, round_, domain) for domain in results.domains]
        rows.append([str(round_), *cells, number(results.round_mean(round_))])
    means = [number(results.domain_mean(domain)) for domain in results.domains]
    rows.append(
        ['mean so far' if results.missing else 'mean', *means, number(results.mean)]
    )
    header = ['round', *results.domains, 'mean']
    return Table(header, rows, bold=len(rows) - 1)


def _cell_text(results: AdaptResults, round_: int, domain: str) -> str:
    there = (round_, domain) in results.cells
    return number(results.miou(round_, domain)) if there else MISSING


def work_table(results: AdaptResults) -> Table:
    """Returns what was done and what it cost, a row a round; see `round_table`."""
    before = {entry.get('round'): entry.get('mIoU') for entry in results.source_eval}
    rows = []
    for round_ in [*shown_rounds(len(results.rounds)), None]:
        source = before.get(round_) if round_ else None
        rows.append(
            [
                'all' if round_ is None else str(round_),
                *(number(results.total(key, round_), 0) for key in _COUNTS),
                *(number(results.per_image(key, round_), 1) for key in _WORK),
                number(results.images_per_second(round_), 2),
                number(results.peak('peak_memory_mb', round_), 0),
                *([number(source)] if before else []),
            ]
        )
    header = [
        *('round', 'updates', 'skipped', 'rolled back', 'resets', 'classes'),
        *('classes of source', 'forwards', 'backwards', 'images/s', 'peak MB'),
        *(['mIoU on source'] if before else []),
    ]
    return Table(header, rows, bold=len(rows) - 1)


def class_table(results: AdaptResults) -> Table:
    """Returns the IoU of each class: by domain, overall, and last minus first round.

    A figure is the mean over the cells in which the class has an IoU; ``-`` where it
    has none.
    """
    whole = results.whole_rounds
    rows = []
    for label in results.classes:
        by_domain = [
            results.iou(label, [(r, domain) for r in results.rounds])
            for domain in results.domains
        ]
        ends = (
            [
                results.iou(label, [(r, domain) for domain in results.domains])
                for r in (whole[0], whole[-1])
            ]
            if len(whole) > 1
            else [None, None]
        )
        change = None if None in ends else (ends[1] or 0.0) - (ends[0] or 0.0)
        overall = results.iou(label, results.places)
        rows.append([label, *map(number, by_domain), number(overall), _signed(change)])
    header = ['class', *results.domains, 'mean', 'last minus first']
    return Table(header, rows)


def cells_csv(runs: Sequence[AdaptResults]) -> str:
    """Returns a row a cell, with how the run was done; a missing one has no figures."""
    figures = _union(list(cell.figures) for run in runs for cell in run.cells.values())
    labels = _union(list(run.classes) for run in runs)
    losses = _union(list(cell.losses) for run in runs for cell in run.cells.values())
    settings = _union(list(run_settings(run)) for run in runs)
    header = [
        *('file', *settings, 'round', 'domain', *figures),
        *(f'IoU.{label}' for label in labels),
        *losses,
    ]
    rows = []
    for run in runs:
        done = run_settings(run)
        how = [run.path, *(_plain_text(done[key]) for key in settings)]
        for round_, domain in run.places:
            cell = run.cells.get((round_, domain)) or Cell(round_, domain, {})
            values = [cell[key] for key in figures]
            values += [cell.ious.get(label) for label in labels]
            values += [cell.losses.get(key) for key in losses]
            shown = ['' if value is None else f'{value:.6g}' for value in values]
            rows.append([*how, str(round_), domain, *shown])
    return csv_text(header, rows)


def csv_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a CSV file."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator='\n')
    writer.writerow(header)
    writer.writerows(rows)
    return sink.getvalue()


def _plain_text(value: Any) -> str:
    return '' if value is None else setting_text(value)


def _union(lists: Any) -> list[str]:
    """Returns each name once, in the order of appearance."""
    return list(dict.fromkeys(name for names in lists for name in names))
