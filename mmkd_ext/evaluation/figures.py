"""Figures of reports, drawn by matplotlib: each function returns a PNG file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ['axes', 'bars', 'colours', 'image_grid', 'legend', 'lines', 'png']

# distinct also without colour vision (Okabe and Ito)
COLOURS = (
    *('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8c8c3f'),
    *('#7f6bd0', '#999999'),
)
WIDTH = 10.5
Curve = tuple[Sequence[float], Sequence[Any]]


def colours(names: Iterable[str]) -> dict[str, str]:
    """Returns a colour for each name, in order."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def axes(
    height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Any, list[Any]]:
    """Returns a figure and its axes, row by row, with a light grid.

    Args:
        height: Of the figure in inches.
        rows: Axes below each other.
        columns: Axes beside each other.
        options: Of matplotlib's ``subplots``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=110, layout='constrained')
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for axis in grid.flat:
        axis.grid(alpha=0.25, lw=0.6)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=8.5)
        axis.spines[['top', 'right']].set_visible(False)
    return figure, list(grid.flat)


def legend(figure: Any, names: Mapping[str, Any]) -> None:
    """Draws a legend above a figure, in rows that fit."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in names.items()]
    longest = max(map(len, names), default=1)
    columns = max(1, min(len(names), 110 // (longest + 6)))
    figure.legend(
        handles=handles,
        loc='outside upper center' if figure.get_layout_engine() else 'upper center',
        ncols=columns,
        frameon=False,
        fontsize=9,
    )


def png(figure: Any) -> bytes:
    """Returns a figure as a PNG file."""
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format='png', facecolor='white')
        return buffer.getvalue()


def lines(
    panels: Mapping[str, Mapping[str, Curve]],
    *,
    xlabel: str,
    names: Mapping[str, str] | None = None,
    height: float = 3.2,
) -> bytes:
    """Draws line charts beside each other.

    Args:
        panels: Title of a chart to its curves: name to x and y. A value that is None
            or NaN leaves a gap.
        xlabel: Of every chart.
        names: Colour of each name; by default one each.
        height: Of the figure in inches.
    """
    shown = names or colours(dict.fromkeys(n for one in panels.values() for n in one))
    figure, charts = axes(height, columns=max(len(panels), 1))
    for axis, (title, curves) in zip(charts, panels.items()):
        for name, (x, y) in curves.items():
            values = [float('nan') if value is None else value for value in y]
            marker = 'o' if len(x) <= 20 else None
            axis.plot(x, values, marker=marker, ms=3.5, lw=1.7, color=shown[name])
        axis.set_title(title, loc='left', fontsize=10)
        axis.set_xlabel(xlabel, fontsize=9)
        axis.locator_params(axis='x', integer=True)
    legend(figure, shown)
    return png(figure)


def bars(
    groups: Sequence[str],
    values: Mapping[str, Sequence[float | None]],
    *,
    label: str,
    names: Mapping[str, str] | None = None,
) -> bytes:
    """Draws upright bars.

    Args:
        groups: Names below the groups.
        values: Name to one value a group; None and NaN leave a gap.
        label: Of the upright axis.
        names: Colour of each name; by default one each.
    """
    shown = names or colours(values)
    figure, (axis,) = axes(3.1)
    width = 0.8 / max(len(values), 1)
    for place, (name, heights) in enumerate(values.items()):
        shift = (place - (len(values) - 1) / 2) * width
        known = [(i, h) for i, h in enumerate(heights) if h is not None and h == h]
        drawn = axis.bar(
            [i + shift for i, _ in known],
            [h for _, h in known],
            width * 0.9,
            color=shown[name],
        )
        if len(groups) * len(values) <= 24:
            axis.bar_label(drawn, fmt='%.1f', fontsize=7.5, padding=1)
    turned = dict(rotation=35, ha='right') if len(groups) > 8 else {}
    axis.set_xticks(range(len(groups)), groups, fontsize=8.5, **turned)
    axis.set_ylabel(label, fontsize=9)
    axis.margins(y=0.12)
    legend(figure, shown)
    return png(figure)


def image_grid(
    columns: Sequence[str],
    rows: Mapping[str, Sequence[tuple[NDArray[Any] | None, str]]],
    names: Mapping[str, Any] | None = None,
) -> bytes:
    """Draws rows of pictures under common titles.

    Args:
        columns: Titles, one a picture of a row.
        rows: Name of a row to its pictures, RGB ``(h w 3)`` or None for a gap, each
            with a caption.
        names: A legend: names and their colours.
    """
    from matplotlib.figure import Figure

    count = max(len(columns), 1)
    wide = WIDTH / count
    shapes = [i.shape for row in rows.values() for i, _ in row if i is not None]
    tall = wide * max((shape[0] / shape[1] for shape in shapes), default=0.5) + 0.5
    top = 0.3 * (1 + len(names or ()) // 8) if names else 0.1
    height = tall * len(rows) + top
    figure = Figure(figsize=(WIDTH, height), dpi=110)
    for r, (name, row) in enumerate(rows.items()):
        for c, (image, caption) in enumerate(row):
            bottom = 1 - (top + tall * (r + 1) - 0.17) / height
            axis = figure.add_axes(
                (c / count, bottom, 0.98 / count, (tall - 0.5) / height)
            )
            axis.set_axis_off()
            title = f'{columns[c]}\n' if r == 0 else ''
            text = title + (name if c == 0 else ' ')
            axis.set_title(text, fontsize=7.5, loc='left', pad=2)
            if image is not None:
                axis.imshow(image, interpolation='nearest', aspect='auto')
                axis.text(0, -2 / 110, caption, fontsize=7, va='top',
                          transform=axis.transAxes)
    if names:
        legend(figure, names)
    return png(figure)
