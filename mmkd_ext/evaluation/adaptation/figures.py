"""The figures of adaptation runs, each as PNG and as SVG that follows the page.

The SVG takes its ink from the page around it (``currentColor``), so that it can be read
on a light and on a dark one; the PNG is for Markdown and stands on white.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmkd_ext.evaluation.adaptation.record import LOST
from mmkd_ext.evaluation.adaptation.results import AdaptResults
from mmkd_ext.evaluation.report import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    'classical_mds',
    'comparison_figure',
    'domain_figure',
    'guard_figure',
    'means_figure',
    'prototype_figure',
    'round_figure',
    'stream_figure',
]

# distinct also without colour vision (Okabe and Ito), readable on white and on black
COLOURS = (
    *('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8c8c3f'),
    *('#7f6bd0', '#999999'),
)
ACTIONS = {
    'skip': '#8c8c8c',
    'restore': '#009e73',
    'roll_back': '#e69f00',
    'reset': '#d55e00',
    'undecodable': '#7f6bd0',
}
# more would be a comb: a line goes through one point a visit instead
_MOST_STRETCHES = 80
_MOST_MARKS = 30
# taken by nothing else, so that it can be replaced in the SVG
_INK = '#123456'
# title of a row of the guard's figure: its lines, and where their values are
_SIGNALS: dict[str, dict[str, str]] = {
    'lost of the source': LOST,
    'entropy, nats': {'': 'entropy'},
    'disagreement': {'': 'disagreement'},
    'predicted classes': {'': 'classes'},
}


def stream_figure(results: AdaptResults) -> Picture | None:
    """Draws the running mIoU along the stream, coloured by domain.

    Returns:
        The picture, ``None`` when no mIoU was measured along the way.
    """
    points = [p for p in results.timeline if p.get('mIoU') is not None]
    if not points:
        return None
    figure, axis = _axes(10.5, 3.2)
    colours = _colours(results.domains)
    parts = _stretches(points)
    at = 'of the last images at each point'
    if len(parts) > _MOST_STRETCHES:
        parts = _by_domain([part[-1] for part in parts])
        at = 'at the end of each visit'
    for part in parts:
        axis.plot(
            [point['step'] for point in part],
            [point['mIoU'] for point in part],
            lw=1.3,
            marker='.' if len(part) == 1 else None,
            color=colours.get(str(part[0]['domain'])),
        )
    _mark_rounds(axis, results.timeline)
    marks = '; a line where a round begins'
    shown = marks if len(results.rounds) <= _MOST_MARKS else ''
    axis.set_xlabel(f'image of the stream{shown}', fontsize=9)
    axis.set_ylabel('running mIoU, %', fontsize=9)
    axis.margins(x=0.01)
    _legend(figure, colours)
    return _picture('stream', figure, f'mIoU over time, {at}, by domain.')


def round_figure(results: AdaptResults) -> Picture | None:
    """Draws the mIoU of each domain over the rounds, with the mean of each round."""
    if len(results.rounds) < 2 or not results.cells:
        return None
    figure, axis = _axes(10.5, 3.0)
    colours = _colours(results.domains)
    for domain in results.domains:
        values = [results.miou(r, domain) for r in results.rounds]
        _line(axis, results.rounds, values, color=colours[domain])
    means = [results.round_mean(r) for r in results.rounds]
    _line(axis, results.rounds, means, color=_INK, lw=2.4, ls='--')
    axis.set_xlabel('round', fontsize=9)
    axis.set_ylabel('mIoU, %', fontsize=9)
    _legend(figure, {**colours, 'mean of the round': _INK})
    return _picture('rounds', figure, 'mIoU of each domain, round by round.')


def domain_figure(results: AdaptResults) -> Picture | None:
    """Draws upright bars: each domain in the first and last round, and on average."""
    domains, rounds = results.domains, results.rounds
    last = max((r for r, _ in results.cells), default=0)
    if not last:
        return None
    bars = {'first round': [results.miou(rounds[0], d) for d in domains]}
    if last > 1:
        bars['mean of all rounds'] = [results.domain_mean(d) for d in domains]
        bars[f'round {last}'] = [results.miou(last, d) for d in domains]
    caption = 'mIoU of each domain; no bar where the cell is missing.'
    return _bars('domains', domains, bars, caption)


def guard_figure(results: AdaptResults) -> Picture | None:
    """Draws the signals along the stream and, below them, what was done when."""
    rows = {
        title: lines
        for title, keys in _SIGNALS.items()
        if (lines := _signals(results.timeline, keys))
    }
    found = {str(event.get('action')) for event in results.events}
    actions = [a for a in ACTIONS if a in found] + sorted(found - set(ACTIONS))
    if not rows and not actions:
        return None
    heights = [2.0] * len(rows) + ([0.6 + 0.42 * len(actions)] if actions else [])
    figure, axes = _rows(10.5, heights)
    for axis, (title, lines) in zip(axes, rows.items()):
        for colour, (name, (steps, values)) in zip(COLOURS, lines.items()):
            axis.plot(steps, values, lw=1.1, color=colour, label=name)
        axis.set_ylabel(title, fontsize=8.5)
        if len(lines) > 1:
            axis.legend(frameon=False, fontsize=8, labelcolor=_INK, ncols=len(lines))
    if actions:
        _draw_actions(axes[-1], results.events, actions)
    for axis in axes:
        _mark_rounds(axis, results.timeline)
    axes[-1].set_xlabel('image of the stream', fontsize=9)
    figure.align_ylabels()
    figure.tight_layout()
    caption = 'What the guard watches, and each action of the guard and the loop.'
    return _picture('guard', figure, caption)


def _signals(
    timeline: Sequence[Mapping[str, Any]], keys: Mapping[str, str]
) -> dict[str, tuple[list[float], list[float]]]:
    """Returns steps and values of the signals that were measured, by their names."""
    lines = {}
    for name, key in keys.items():
        points = [(p['step'], p[key]) for p in timeline if p.get(key) is not None]
        if points:
            lines[name] = ([s for s, _ in points], [v for _, v in points])
    return lines


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
        axis.scatter(steps, [row] * len(steps), s=42, marker='|', color=colour, lw=1.6)
        titles.append(f'{action.replace("_", " ")} ({len(steps)})')
    axis.set_yticks(range(len(actions)), titles)
    axis.set_ylim(len(actions) - 0.5, -0.5)


def prototype_figure(results: AdaptResults) -> Picture | None:
    """Draws the distances between the domains' prototypes: a heat map, and a map.

    The map is the plane in which classical scaling keeps the distances best; the share
    that it keeps stands above it.
    """
    if results.prototypes is None:
        return None
    from matplotlib.figure import Figure

    names = [str(name) for name in results.prototypes['names']]
    distances = np.asarray(results.prototypes['distances'], float)
    figure = Figure(figsize=(10.5, 4.0), dpi=110)
    heat, plane = figure.subplots(1, 2, width_ratios=(1, 1.1))
    mesh = heat.pcolormesh(distances, cmap='viridis', rasterized=False)
    ticks = np.arange(len(names)) + 0.5
    heat.set_xticks(ticks, names, rotation=35, ha='right')
    heat.set_yticks(ticks, names)
    heat.invert_yaxis()
    heat.set_aspect('equal')
    if len(names) <= 12:
        _write_values(heat, distances)
    figure.colorbar(mesh, ax=heat, shrink=0.85)
    points, kept = classical_mds(distances)
    colours = _colours(names)
    for name, (x, y) in zip(names, points):
        plane.scatter([x], [y], s=60, color=colours[name], zorder=3)
        plane.annotate(
            name, (x, y), (6, 5), textcoords='offset points', fontsize=9, color=_INK
        )
    plane.set_aspect('equal', 'datalim')
    plane.margins(0.25)
    for axis, title in ((heat, 'distances'), (plane, f'map, keeps {kept:.0%}')):
        _style(axis)
        axis.set_title(title, loc='left', fontsize=10, color=_INK)
    heat.grid(visible=False)
    _style(figure.axes[-1])
    figure.tight_layout()
    caption = 'Distances between the batch-norm prototypes of the domains.'
    return _picture('prototypes', figure, caption)


def _write_values(axis: Any, distances: NDArray[Any]) -> None:
    middle = distances.max() / 2
    for (row, column), value in np.ndenumerate(distances):
        axis.text(
            column + 0.5,
            row + 0.5,
            f'{value:.3g}',
            ha='center',
            va='center',
            fontsize=8,
            color='#000000' if value > middle else '#ffffff',
        )


def classical_mds(distances: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Returns points in a plane whose distances are nearest to the given ones.

    Torgerson's scaling: the two leading eigenvectors of the doubly centred squares.

    Args:
        distances: ``(n n)``; an asymmetric matrix counts as the mean of both halves.

    Returns:
        The points ``(n 2)``, and the share of the (absolute) spectrum that they keep.

    Examples:
        >>> points, kept = classical_mds(np.array([[0.0, 3.0], [3.0, 0.0]]))
        >>> round(float(abs(points[0] - points[1]).max()), 6), round(kept, 6)
        (3.0, 1.0)
    """
    squares = ((distances + distances.T) / 2) ** 2
    count = len(squares)
    centre = np.eye(count) - 1.0 / count
    values, vectors = np.linalg.eigh(-0.5 * centre @ squares @ centre)
    leading = np.argsort(values)[::-1][:2]
    scales = np.sqrt(values[leading].clip(min=0.0))
    points = np.zeros((count, 2))
    points[:, : len(leading)] = vectors[:, leading] * scales
    whole = float(np.abs(values).sum())
    return points, float((scales**2).sum()) / whole if whole else 1.0


def comparison_figure(content: Mapping[str, Any]) -> Picture | None:
    """Draws each group's mean over the rounds, with the spread of its seeds.

    Args:
        content: What :func:`mmkd_ext.evaluation.adaptation.compare.compare` gave.
    """
    if content['rounds'] < 2:
        return None
    figure, axis = _axes(10.5, 3.4)
    colours = _colours(content['runs'])
    for label, found in content['runs'].items():
        rounds = [int(r) for r in found['round_means']]
        summaries = list(found['round_means'].values())
        means = [None if one is None else one['mean'] for one in summaries]
        _line(axis, rounds, means, color=colours[label])
        low, high = (
            np.array(
                [
                    np.nan if one is None else one['mean'] + sign * (one['std'] or 0.0)
                    for one in summaries
                ]
            )
            for sign in (-1, 1)
        )
        axis.fill_between(rounds, low, high, color=colours[label], alpha=0.2, lw=0)
    axis.set_xlabel('round', fontsize=9)
    axis.set_ylabel('mean mIoU of the round, %', fontsize=9)
    _legend(figure, colours)
    caption = 'Mean over the domains by round; bands are the spread of the seeds.'
    return _picture('comparison', figure, caption)


def means_figure(content: Mapping[str, Any]) -> Picture | None:
    """Draws upright bars: each domain's mean over the rounds, a colour a group."""
    domains = content['domains']
    bars = {}
    for label, found in content['runs'].items():
        means = [found['domain_means'].get(domain) for domain in domains]
        if any(means):
            bars[label] = [None if one is None else one['mean'] for one in means]
    caption = 'Mean over the rounds, of finished runs.'
    return _bars('comparison-domains', domains, bars, caption) if bars else None


def _bars(
    name: str,
    groups: Sequence[str],
    bars: Mapping[str, Sequence[float | None]],
    caption: str,
) -> Picture:
    figure, axis = _axes(10.5, 3.0)
    colours = _colours(bars)
    width = 0.8 / len(bars)
    for number, (label, values) in enumerate(bars.items()):
        shift = (number - (len(bars) - 1) / 2) * width
        there = [(place, v) for place, v in enumerate(values) if v is not None]
        drawn = axis.bar(
            [place + shift for place, _ in there],
            [value for _, value in there],
            width * 0.9,
            color=colours[label],
        )
        if len(groups) * len(bars) <= 24:
            axis.bar_label(drawn, fmt='%.1f', fontsize=7.5, color=_INK, padding=1)
    axis.set_xticks(range(len(groups)), groups)
    axis.set_ylabel('mIoU, %', fontsize=9)
    axis.margins(y=0.12)
    _legend(figure, colours)
    return _picture(name, figure, caption)


def _line(
    axis: Any, rounds: Sequence[int], values: Sequence[float | None], **style: Any
) -> None:
    """Draws a line that stops where a value is missing."""
    shown = [np.nan if value is None else value for value in values]
    marker = 'o' if len(rounds) <= 20 else None
    axis.plot(rounds, shown, marker=marker, ms=3.5, **{'lw': 1.6, **style})
    axis.locator_params(axis='x', integer=True)
    axis.set_xlim(rounds[0] - 0.3, rounds[-1] + 0.3)


def _stretches(points: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Splits the time line where round or domain change."""
    parts: list[list[Mapping[str, Any]]] = []
    place: Any = None
    for point in points:
        here = (point.get('round'), point.get('domain'))
        if here != place:
            parts.append([])
            place = here
        parts[-1].append(point)
    return parts


def _by_domain(points: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Gathers the points of each domain."""
    parts: dict[Any, list[Mapping[str, Any]]] = {}
    for point in points:
        parts.setdefault(point.get('domain'), []).append(point)
    return list(parts.values())


def _mark_rounds(axis: Any, timeline: Sequence[Mapping[str, Any]]) -> None:
    """Draws a line where a round begins, unless they would cover the figure."""
    starts: dict[Any, float] = {}
    for point in timeline:
        starts.setdefault(point.get('round'), point['step'])
    axis.grid(visible=False, axis='x')
    for start in starts.values() if len(starts) <= _MOST_MARKS else ():
        axis.axvline(start, color=_INK, lw=0.6, alpha=0.35)


def _colours(names: Any) -> dict[str, str]:
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110)
    axis = figure.subplots()
    _style(axis)
    return figure, axis


def _rows(width: float, heights: Sequence[float]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 0.6 + 0.75 * sum(heights)), dpi=110)
    axes = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, height_ratios=list(heights)
    )
    for axis in axes[:, 0]:
        _style(axis)
    return figure, list(axes[:, 0])


def _style(axis: Any) -> None:
    axis.set_facecolor('none')
    axis.grid(alpha=0.25, lw=0.6, color=_INK)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8.5, colors=_INK)
    axis.xaxis.label.set_color(_INK)
    axis.yaxis.label.set_color(_INK)
    for side, spine in axis.spines.items():
        spine.set_color(_INK)
        spine.set_visible(side not in ('top', 'right'))


def _legend(figure: Any, colours: Mapping[str, str]) -> None:
    """Puts the names above the figure, in rows that fit."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, lw=3, ls='--' if colour == _INK else '-')
        for colour in colours.values()
    ]
    longest = max(map(len, colours), default=1)
    columns = max(1, min(len(colours), 120 // (longest + 6)))
    rows = -(-len(colours) // columns)
    figure.legend(
        handles,
        list(colours),
        loc='upper center',
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
    )
    height = figure.get_size_inches()[1]
    figure.tight_layout(rect=(0, 0, 1, 1 - (0.08 + 0.2 * rows) / height))


def _picture(name: str, figure: Any, caption: str) -> Picture:
    sink = io.BytesIO()
    figure.savefig(sink, format='png', facecolor='white')
    return Picture(name, sink.getvalue(), caption, svg=_svg(name, figure))


def _svg(name: str, figure: Any) -> str:
    """Returns the figure as an element for a page, with ids of its own."""
    import matplotlib as mpl

    sink = io.StringIO()
    blank = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
    # the salt makes the ids of one figure differ from those of the next
    settings = {'svg.fonttype': 'none', 'svg.hashsalt': name}
    with mpl.rc_context(settings):
        figure.savefig(sink, format='svg', transparent=True, metadata=blank)
    text = sink.getvalue()
    text = text[text.index('<svg') :]
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', '', text)
    text = re.sub(r'<metadata>.*?</metadata>', '', text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', '<g>', text)
    return text.replace('xlink:href', 'href').replace(_INK, 'currentColor').strip()
