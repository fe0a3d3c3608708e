"""The figures of an adaptation run, each a PNG file."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmkd_ext.evaluation.adaptation.results import AdaptResults
from mmkd_ext.evaluation.adaptation.tables import number
from mmkd_ext.evaluation.figures import (
    COLOURS,
    axes,
    bars,
    colours,
    image_grid,
    legend,
    lines,
    png,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ['MOST_THUMBNAILS', 'run_figures']

ACTIONS = {
    'skip': '#8c8c8c',
    'restore': '#009e73',
    'roll_back': '#e69f00',
    'reset': '#d55e00',
    'undecodable': '#7f6bd0',
}
#: Thumbnails of a domain that the replay buffer's figure shows.
MOST_THUMBNAILS = 8
_MOST_MARKS = 30
# title of a row of the guard's figure: its lines, and where their values are
_SIGNALS: dict[str, dict[str, str]] = {
    'lost of the source': {'expected IoU': 'lost'},
    'disagreement': {'disagreement': 'disagreement'},
    'predicted classes': {'classes': 'classes'},
}
_PICTURES = ('image', 'before', 'after', 'truth')


def run_figures(results: AdaptResults) -> dict[str, bytes]:
    """Returns every figure for which a run has something to show, by name."""
    drawn = {
        'stream': _stream(results),
        'rounds': _rounds(results),
        'domains': _domains(results),
        'guard': _guard(results),
        'prototypes': _prototypes(results),
        'buffer': _buffer(results),
        'predictions': _predictions(results),
    }
    return {name: data for name, data in drawn.items() if data is not None}


def _stream(results: AdaptResults) -> bytes | None:
    """Draws the running mIoU along the stream, coloured by domain."""
    points = [p for p in results.timeline if p.get('mIoU') is not None]
    if not points:
        return None
    figure, (axis,) = axes(3.2)
    names = colours(results.domains)
    for domain, colour in names.items():
        of_domain = [p for p in points if str(p['domain']) == domain]
        steps = [p['step'] for p in of_domain]
        axis.plot(steps, [p['mIoU'] for p in of_domain], '.', ms=3, color=colour)
    _mark_rounds(axis, results)
    axis.set_xlabel('image of the stream; a line where a round begins', fontsize=9)
    axis.set_ylabel('running mIoU, %', fontsize=9)
    legend(figure, names)
    return png(figure)


def _rounds(results: AdaptResults) -> bytes | None:
    if len(results.rounds) < 2 or results.cells.empty:
        return None
    names = {**colours(results.domains), 'mean of the round': '#000000'}
    curves = {d: (results.rounds, list(results.miou[d])) for d in results.domains}
    curves['mean of the round'] = (results.rounds, list(results.round_means))
    return lines({'mIoU, %': curves}, xlabel='round', names=names, height=3.0)


def _domains(results: AdaptResults) -> bytes | None:
    """Draws each domain in the first and last round, and on average."""
    if results.cells.empty:
        return None
    first, last = results.rounds[0], results.miou.dropna(how='all').index.max()
    values = {'first round': list(results.miou.loc[first])}
    if last > 1:
        values['mean of all rounds'] = list(results.domain_means)
        values[f'round {last}'] = list(results.miou.loc[last])
    return bars(results.domains, values, label='mIoU, %')


def _guard(results: AdaptResults) -> bytes | None:
    """Draws the signals along the stream and, below them, what was done when."""
    charts: dict[str, dict[str, Any]] = {}
    for title, keys in _SIGNALS.items():
        for name, key in keys.items():
            points = [(p['step'], p[key]) for p in results.timeline
                      if p.get(key) is not None]
            if points:
                charts.setdefault(title, {})[name] = tuple(zip(*points))
    done = {str(event.get('action')) for event in results.events}
    actions = [a for a in ACTIONS if a in done] + sorted(done - set(ACTIONS))
    if not charts and not actions:
        return None
    heights = [2.0] * len(charts) + ([0.6 + 0.42 * len(actions)] if actions else [])
    figure, places = axes(
        0.6 + 0.75 * sum(heights), len(heights), sharex=True, height_ratios=heights
    )
    for axis, (title, curves) in zip(places, charts.items()):
        for colour, (name, (steps, values)) in zip(COLOURS, curves.items()):
            axis.plot(steps, values, lw=1.1, color=colour, label=name)
        axis.set_ylabel(title, fontsize=8.5)
        if len(curves) > 1:
            axis.legend(frameon=False, fontsize=8, ncols=len(curves))
    if actions:
        _draw_actions(places[-1], results.events, actions)
    for axis in places:
        _mark_rounds(axis, results)
    places[-1].set_xlabel('image of the stream', fontsize=9)
    figure.align_ylabels()
    return png(figure)


def _draw_actions(
    axis: Any, events: Sequence[Mapping[str, Any]], actions: Sequence[str]
) -> None:
    titles = []
    for row, action in enumerate(actions):
        steps = [
            event['step'] + i
            for event in events
            if str(event.get('action')) == action
            for i in range(int(event.get('times', 1)))
        ]
        colour = ACTIONS.get(action, COLOURS[-1])
        axis.scatter(steps, [row] * len(steps), s=42, marker='|', color=colour)
        titles.append(f'{action.replace("_", " ")} ({len(steps)})')
    axis.set_yticks(range(len(actions)), titles)
    axis.set_ylim(len(actions) - 0.5, -0.5)


def _mark_rounds(axis: Any, results: AdaptResults) -> None:
    """Draws a line where a round begins, unless they would cover the figure."""
    starts: dict[Any, float] = {}
    for point in results.timeline:
        starts.setdefault(point.get('round'), point['step'])
    axis.grid(visible=False, axis='x')
    for start in starts.values() if len(starts) <= _MOST_MARKS else ():
        axis.axvline(start, color='black', lw=0.6, alpha=0.35)


def _prototypes(results: AdaptResults) -> bytes | None:
    """Draws the distances between the domains' prototypes."""
    if results.prototypes is None:
        return None
    names, distances = results.prototypes['names'], results.prototypes['distances']
    figure, (axis,) = axes(4.0)
    shown = axis.imshow(distances, cmap='viridis')
    middle = max(map(max, distances)) / 2
    for row, values in enumerate(distances if len(names) <= 12 else ()):
        for column, value in enumerate(values):
            colour = 'black' if value > middle else 'white'
            axis.text(column, row, f'{value:.3g}', ha='center', va='center', fontsize=8,
                      color=colour)
    axis.set_xticks(range(len(names)), names, rotation=35, ha='right')
    axis.set_yticks(range(len(names)), names)
    axis.grid(visible=False)
    figure.colorbar(shown, ax=axis, shrink=0.85)
    return png(figure)


def _buffer(results: AdaptResults) -> bytes | None:
    """Draws the replay buffer: a row a domain, the highest scores first."""
    rows: dict[str, list[Any]] = {}
    for entry in sorted(results.buffer or (), key=lambda e: -(e.get('score') or 0.0)):
        image = _decode(entry.get('thumbnail'))
        caption = f'{number(entry.get("score"), 3)}, step {entry.get("step", "-")}'
        if image is not None:
            rows.setdefault(str(entry.get('domain', '-')), []).append((image, caption))
    if not rows:
        return None
    width = min(max(map(len, rows.values())), MOST_THUMBNAILS)
    shown = {f'{domain}: {len(row)}': row[:width] for domain, row in rows.items()}
    return image_grid([''] * max(width, 5), shown)


def _predictions(results: AdaptResults) -> bytes | None:
    """Draws predictions before and after adaptation, beside image and truth."""
    rows = {
        ', '.join(f'{key} {entry.get(key)}' for key in ('round', 'domain', 'index')): [
            (_decode(entry.get(key)), '') for key in _PICTURES
        ]
        for entry in results.pictures
    }
    titles = ['image', 'source model', 'adapted', 'truth']
    return image_grid(titles, rows) if rows else None


def _decode(uri: Any) -> NDArray[Any] | None:
    """Returns the picture of a data URI, ``None`` when it is damaged."""
    import numpy as np
    from PIL import Image

    if not isinstance(uri, str) or not uri.startswith('data:image/'):
        return None
    try:
        data = base64.b64decode(uri.partition(',')[2], validate=True)
        return np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))
    except (binascii.Error, OSError, ValueError):
        return None
