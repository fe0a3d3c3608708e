"""The page of an adaptation run, and that of several beside each other.

Made of the parts of :mod:`mmkd_ext.evaluation.report`, so the Markdown says the same.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from typing import Any

from mmkd_ext.evaluation.adaptation.compare import (
    comparison_table,
    how_table,
    stability_table,
    work_comparison,
)
from mmkd_ext.evaluation.adaptation.figures import (
    comparison_figure,
    domain_figure,
    guard_figure,
    means_figure,
    prototype_figure,
    round_figure,
    stream_figure,
)
from mmkd_ext.evaluation.adaptation.results import AdaptResults
from mmkd_ext.evaluation.adaptation.tables import (
    MOST_ROUNDS,
    class_table,
    number,
    round_table,
    settings_table,
    shown_rounds,
    summary_table,
    work_table,
)
from mmkd_ext.evaluation.report import Gallery, Heading, Note, Part, Picture
from mmkd_ext.evaluation.tables import Table

__all__ = ['comparison_parts', 'run_parts']

_MOST_EVENTS = 200
_MOST_THUMBNAILS = 8
_PICTURES = ('image', 'before', 'after', 'truth')


def run_parts(results: AdaptResults) -> list[Part]:
    """Returns the parts of the page of one run, in the order of reading."""
    return [
        *_lead(results),
        Heading('How it was run'),
        settings_table(results),
        Heading('Rounds and domains'),
        Note(_rounds_note(results)),
        round_table(results),
        *_there(stream_figure, round_figure, domain_figure, of=results),
        Heading('What was done, and what it cost'),
        work_table(results),
        *_there(guard_figure, of=results),
        *_event_parts(results),
        Heading('Classes'),
        Note('IoU in percent, mean of the cells in which the class occurs.'),
        class_table(results),
        *_titled('Domains as the model sees them', [prototype_figure(results)]),
        *_buffer_parts(results),
        *_picture_parts(results),
    ]


def _rounds_note(results: AdaptResults) -> str:
    text = 'mIoU in percent; the means are unweighted means of the cells.'
    rounds, most = len(results.rounds), MOST_ROUNDS
    if rounds > most:
        text += f' {most} of {rounds} rounds are shown; `report.csv` has all.'
    return text


def _lead(results: AdaptResults) -> list[Part]:
    parts: list[Part] = []
    if results.missing:
        parts.append(
            Note(
                f'**Not finished**: {len(results.cells)} of {len(results.places)} '
                'cells are there, the others are missing and in no figure.'
            )
        )
    return [*parts, summary_table(results)]


def _there(*figures: Any, of: AdaptResults) -> list[Part]:
    """Returns the figures for which there is something to draw."""
    drawn = [figure(of) for figure in figures]
    return [picture for picture in drawn if picture is not None]


def _titled(title: str, parts: Sequence[Part | None]) -> list[Part]:
    """Returns a section, nothing when it would be empty."""
    there = [part for part in parts if part is not None]
    return [Heading(title), *there] if there else []


def _event_parts(results: AdaptResults) -> list[Part]:
    events = results.events
    if not events:
        return [Note('Neither the guard nor the loop had to step in.')]
    rows = [
        [
            str(event.get('step', '-')),
            f'{event.get("round", "-")}, {event.get("domain", "-")}, '
            f'{event.get("index", "-")}',
            str(event.get('action', '-')).replace('_', ' '),
            str(event.get('times', 1)),
            str(event.get('reason', '')),
            _signals_text(event.get('signals')),
        ]
        for event in events[:_MOST_EVENTS]
    ]
    header = [
        'step',
        'round, domain, image',
        'action',
        'images',
        'reason',
        'signals',
    ]
    parts: list[Part] = [Table(header, rows)]
    if len(events) > _MOST_EVENTS:
        left = len(events) - _MOST_EVENTS
        parts.append(Note(f'{left} later ones are in `results.json` alone.'))
    return parts


def _signals_text(signals: Any) -> str:
    if not isinstance(signals, Mapping):
        return ''
    return ', '.join(
        f'{key} {value:.4g}' if isinstance(value, float) else f'{key} {value}'
        for key, value in signals.items()
    )


def _buffer_parts(results: AdaptResults) -> list[Part]:
    """Returns the replay buffer: a row a domain, the highest scores first."""
    if results.buffer is None:
        return []
    by_domain: dict[str, list[Mapping[str, Any]]] = {}
    for entry in sorted(results.buffer, key=lambda one: -(one.get('score') or 0.0)):
        by_domain.setdefault(str(entry.get('domain', '-')), []).append(entry)
    shown: dict[str, list[Picture]] = {}
    for domain, entries in by_domain.items():
        pictures = [
            _decoded(
                f'buffer-{domain}-{place}',
                entry.get('thumbnail'),
                f'{number(entry.get("score"), 3)}, step {entry.get("step", "-")}',
            )
            for place, entry in enumerate(entries[:_MOST_THUMBNAILS])
        ]
        shown[domain] = [picture for picture in pictures if picture is not None]
    # as many columns as the longest row; a cell more would only make pictures smaller
    columns = [''] * max(map(len, shown.values()), default=0)
    rows = []
    for domain, row in shown.items():
        blank = [_blank(f'buffer-{domain}-none')] * (len(columns) - len(row))
        rows.append((f'{domain}: {len(by_domain[domain])}', [*row, *blank]))
    note = Note(
        f'{len(results.buffer)} images at the end, by score; at most '
        f'{_MOST_THUMBNAILS} of a domain are shown.'
    )
    return _titled('Replay buffer', [note, Gallery(columns, rows) if rows else None])


def _picture_parts(results: AdaptResults) -> list[Part]:
    """Returns predictions before and after adaptation, beside image and truth."""
    rows = []
    for entry in results.pictures:
        place = f'{entry.get("round")}-{entry.get("domain")}-{entry.get("index")}'
        row = [
            _decoded(f'picture-{place}-{key}', entry.get(key), key)
            or _blank(f'picture-{place}-{key}')
            for key in _PICTURES
        ]
        title = (
            f'round {entry.get("round")}, {entry.get("domain")}, image '
            f'{entry.get("index")}'
        )
        rows.append((title, row))
    if not rows:
        return []
    columns = ['image', 'source model', 'adapted', 'truth']
    return [Heading('Pictures'), Gallery(columns, rows)]


def _decoded(name: str, uri: Any, caption: str) -> Picture | None:
    """Returns the picture of a data URI as PNG, ``None`` when it is damaged."""
    from PIL import Image

    if not isinstance(uri, str) or not uri.startswith('data:image/'):
        return None
    try:
        data = base64.b64decode(uri.partition(',')[2], validate=True)
        image = Image.open(io.BytesIO(data)).convert('RGB')
    except (binascii.Error, OSError, ValueError):
        return None
    if data.startswith(b'\x89PNG'):
        return Picture(name, data, caption)
    sink = io.BytesIO()
    image.save(sink, 'PNG')
    return Picture(name, sink.getvalue(), caption)


def _blank(name: str) -> Picture:
    """Returns a transparent place holder, so that a row keeps its columns."""
    from PIL import Image

    sink = io.BytesIO()
    Image.new('RGBA', (2, 1)).save(sink, 'PNG')
    return Picture(name, sink.getvalue(), '')


def comparison_parts(content: Mapping[str, Any]) -> list[Part]:
    """Returns the parts of the page of several runs.

    Args:
        content: What :func:`mmkd_ext.evaluation.adaptation.compare.compare` gave.
    """
    rounds = ', '.join(map(str, shown_rounds(content['rounds'], 4)))
    figures = [comparison_figure(content), means_figure(content)]
    return [
        Note(_explanation(content)),
        comparison_table(content, cells=False),
        *[figure for figure in figures if figure is not None],
        Heading('Rounds and domains'),
        Note(f'mIoU in percent, rounds {rounds}; the mean is over all rounds.'),
        comparison_table(content),
        Heading('Stability and cost'),
        stability_table(content),
        work_comparison(content),
        Heading('How they were run'),
        how_table(content),
    ]


def _explanation(content: Mapping[str, Any]) -> str:
    over = {
        found['gain']['over'] for found in content['runs'].values() if found.get('gain')
    }
    text = (
        'mIoU in percent: mean of all cells, unweighted; ± is the deviation of the '
        'seeds.'
    )
    if over:
        text += (
            f' Gains are over `{"`, `".join(sorted(over))}`, seed by seed; one that '
            'is not larger than its spread, or than that of what it is over, is '
            'called none.'
        )
    if any(
        found['finished'] < len(found['seeds']) for found in content['runs'].values()
    ):
        text += ' Runs that are not finished are in no mean and no gain.'
    return text
