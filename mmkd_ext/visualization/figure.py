"""Drawing: one figure an image and link, a row a level, a column a map.

Matplotlib directly, and not `draw_featmap` of mmengine's Visualizer: that scales each
map by itself, so teacher and student could not be compared by their colours, and says
no range.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmkd_ext.visualization.columns import Panel, Row, colour_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmkd_ext.visualization.samples import Scene

__all__ = ['Page', 'draw', 'to_png']

# inches
_AREA = 5.2
_GAP, _SIDE, _NAME = 0.1, 0.12, 0.26
_BAR, _UNDER, _PLAIN = 0.07, 0.45, 0.2
_TITLE, _HEADER, _LEGEND = 0.56, 0.24, 0.24
_DPI = 100
_SMALL, _TEXT = 7.5, 9.5
_INK = '#222222'
_NOTHING = '#101010'  # where a map has no value


@dataclass(frozen=True)
class Page:
    """What a figure shows.

    Args:
        title: First line.
        subtitle: Second line.
        picture: The image with its ground truth.
        rows: The levels; each has the same columns.
        classes: Names of the classes.
        palette: Their colours.
        notes: More lines, for below the picture.
    """

    title: str
    subtitle: str
    picture: Scene
    rows: list[Row]
    classes: Sequence[str] = ()
    palette: Sequence[Sequence[int]] | None = None
    notes: Sequence[str] = ()


class _Layout:
    """Where things are, in inches from the top left."""

    def __init__(self, page: Page, legend_lines: int) -> None:
        height, width = page.picture.image.shape[:2]
        # extreme images would leave no room for words
        aspect = min(max(width / height, 0.4), 4.0)
        self.width = math.sqrt(_AREA * aspect)
        self.height = self.width * height / width
        self.columns = 1 + max(len(row.panels) for row in page.rows)
        self.total_width = 2 * _SIDE + _NAME + self.columns * (self.width + _GAP) - _GAP
        self.body = _TITLE + _HEADER
        self.tops = []
        bottom = self.body
        for row in page.rows:
            self.tops.append(bottom)
            scaled = any(panel.scale for panel in row.panels)
            bottom += self.height + (_UNDER if scaled else _PLAIN)
        self.total_height = bottom + legend_lines * _LEGEND

    def left(self, column: int) -> float:
        shift = _NAME if column else 0.0
        return _SIDE + shift + column * (self.width + _GAP)

    def box(self, left: float, top: float, width: float, height: float) -> list[float]:
        """Returns the same as matplotlib counts: shares, from the bottom left."""
        return [
            left / self.total_width,
            1 - (top + height) / self.total_height,
            width / self.total_width,
            height / self.total_height,
        ]


def draw(page: Page) -> NDArray[Any]:
    """Returns the page as RGB ``(h w 3)``, from 0 to 255."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = _legend_entries(page)
    layout = _Layout(page, 0)
    # below the picture where the column is free, else below everything
    free = len(page.rows) > 1 and all(row.below is None for row in page.rows)
    lines = [] if free else _legend_lines(entries, layout.total_width - 2 * _SIDE)
    layout = _Layout(page, len(lines))
    figure = Figure(
        figsize=(layout.total_width, layout.total_height), dpi=_DPI, facecolor='white'
    )
    canvas = FigureCanvasAgg(figure)
    _titles(figure, layout, page)
    _picture(figure, layout, page)
    for number, row in enumerate(page.rows):
        _row(figure, layout, page, number, row)
    for number, line in enumerate(lines):
        top = layout.total_height - (len(lines) - number) * _LEGEND
        _legend(figure, layout, line, _SIDE, top)
    if free:
        _below_picture(figure, layout, page, entries)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def to_png(image: NDArray[Any]) -> bytes:
    """Returns RGB ``(h w 3)`` as a PNG file."""
    from PIL import Image

    with io.BytesIO() as buffer:
        Image.fromarray(image).save(buffer, 'PNG', optimize=True)
        return buffer.getvalue()


# ---- parts -------------------------------------------------------------------------


def _titles(figure: Any, layout: _Layout, page: Page) -> None:
    x = _SIDE / layout.total_width
    lines = [(page.title, 0.1, 11.5, 'bold', _INK)]
    lines += [(page.subtitle, 0.34, _TEXT, 'normal', '#555555')]
    for text, top, size, weight, colour in lines:
        figure.text(
            x,
            1 - top / layout.total_height,
            text,
            fontsize=size,
            fontweight=weight,
            color=colour,
            va='top',
        )


def _heading(figure: Any, layout: _Layout, column: int, text: str) -> None:
    figure.text(
        layout.left(column) / layout.total_width,
        1 - (layout.body - 0.05) / layout.total_height,
        text,
        fontsize=_TEXT,
        color=_INK,
        va='bottom',
    )


def _picture(figure: Any, layout: _Layout, page: Page) -> None:
    """The image with its boxes, and below it, where there is room, what it shows."""
    _heading(figure, layout, 0, 'picture' + _count(page.picture))
    place = layout.box(layout.left(0), layout.tops[0], layout.width, layout.height)
    axis = figure.add_axes(place)
    axis.imshow(page.picture.image, aspect='auto', interpolation='antialiased')
    _boxes(axis, page, coloured=True)
    _frame(axis, page.picture)


def _below_picture(
    figure: Any, layout: _Layout, page: Page, entries: list[_Entry]
) -> None:
    """The legend and the notes, in the column that only the first row fills."""
    top = layout.body + layout.height + 0.12
    for line in _legend_lines(entries, layout.width):
        _legend(figure, layout, line, _SIDE, top)
        top += _LEGEND - 0.02
    # letters of this size are about 0.066 inches wide
    wrapped = [
        line
        for note in page.notes
        for line in textwrap.wrap(note, max(12, int(layout.width / 0.066)))
    ]
    figure.text(
        _SIDE / layout.total_width,
        1 - (top + 0.1) / layout.total_height,
        '\n'.join(wrapped),
        fontsize=_SMALL + 0.5,
        color='#555555',
        va='top',
        linespacing=1.5,
    )


def _count(picture: Scene) -> str:
    if not len(picture.boxes):
        return ''
    plural = 'es' if len(picture.boxes) > 1 else ''
    return f', {len(picture.boxes)} true box{plural}'


def _row(figure: Any, layout: _Layout, page: Page, number: int, row: Row) -> None:
    """The maps of a level, and under them the scales."""
    top = layout.tops[number]
    figure.text(
        (layout.left(1) - 0.06) / layout.total_width,
        1 - (top + layout.height / 2) / layout.total_height,
        row.name,
        fontsize=_TEXT,
        color=_INK,
        rotation=90,
        ha='right',
        va='center',
    )
    limits = {
        scale: _limits([p for p in row.panels if p.scale == scale])
        for scale in {p.scale for p in row.panels if p.scale}
    }
    if row.below is not None:
        place = layout.box(layout.left(0), top, layout.width, layout.height)
        axis = figure.add_axes(place)
        _map(axis, row.below, page, None)
        _caption(figure, layout, 0, top, row.below.title)
    drawn: dict[str, tuple[int, Any]] = {}
    for column, panel in enumerate(row.panels, 1):
        if number == 0:
            _heading(figure, layout, column, panel.title)
        axis = figure.add_axes(
            layout.box(layout.left(column), top, layout.width, layout.height)
        )
        shown = _map(axis, panel, page, limits.get(panel.scale))
        if panel.scale:
            first, _ = drawn.get(panel.scale, (column, None))
            drawn[panel.scale] = (first, shown)
            _caption(figure, layout, column, top, _own_range(panel))
    for scale, (first, shown) in drawn.items():
        last = max(
            i for i, p in enumerate(row.panels, 1) if p.scale == scale and p.scale
        )
        _bar(figure, layout, (first, last), top, scale, shown)


def _map(
    axis: Any, panel: Panel, page: Page, limits: tuple[float, float] | None
) -> Any:
    """A map over the place that it covers, with the boxes."""
    shown = axis.imshow(
        panel.values,
        extent=_extent(panel, page.picture),
        interpolation='nearest',
        aspect='auto',
        **(_colours(panel, limits) if limits is not None else {}),
    )
    axis.set_facecolor(_NOTHING)
    _boxes(axis, page, coloured=False)
    _frame(axis, page.picture)
    return shown


def _colours(panel: Panel, limits: tuple[float, float]) -> dict[str, Any]:
    from matplotlib.colors import LogNorm, Normalize

    norm = LogNorm if panel.log else Normalize
    return {'cmap': panel.cmap, 'norm': norm(*limits)}


def _limits(panels: list[Panel]) -> tuple[float, float]:
    """Returns the ends of a scale that panels share; non-finite values count not."""
    values = np.concatenate([_shown(p) for p in panels])
    values = values if values.size else np.ones(1)
    low = values.min() if panels[0].low is None else panels[0].low
    high = values.max() if panels[0].high is None else panels[0].high
    if high > low:
        return float(low), float(high)
    # of one value: at the upper end of a scale from 0, or the lower of one from it
    return (float(low), float(low) * 2 or 1.0) if low >= 0 else (float(low), 0.0)


def _shown(panel: Panel) -> NDArray[Any]:
    """Returns the values that have a colour."""
    values = panel.values[np.isfinite(panel.values)]
    return np.asarray(values[values > 0] if panel.log else values)


def _own_range(panel: Panel) -> str:
    """Returns the range of one map, since the scale may be wider."""
    values = _shown(panel)
    text = f'{_number(values.min())} to {_number(values.max())}' if values.size else ''
    lost = int((~np.isfinite(panel.values)).sum())
    return f'{text}, {lost} not finite' if lost else text


def _caption(figure: Any, layout: _Layout, column: int, top: float, text: str) -> None:
    """Small words above the right end of a panel."""
    figure.text(
        (layout.left(column) + layout.width) / layout.total_width,
        1 - (top - 0.03) / layout.total_height,
        text,
        fontsize=_SMALL - 0.5,
        color='#777777',
        ha='right',
        va='bottom',
    )


def _bar(
    figure: Any,
    layout: _Layout,
    columns: tuple[int, int],
    top: float,
    scale: str,
    shown: Any,
) -> None:
    """A scale under its panels: the colours, both ends, and what they count."""
    first, last = columns
    left = layout.left(first)
    width = layout.left(last) + layout.width - left
    at = top + layout.height + 0.04
    axis = figure.add_axes(layout.box(left, at, width, _BAR))
    axis.imshow(
        np.linspace(0, 1, 256)[None], aspect='auto', cmap=shown.cmap, vmin=0, vmax=1
    )
    axis.set_axis_off()
    low, high = shown.get_clim()
    y = 1 - (at + _BAR + 0.03) / layout.total_height
    for x, text, side in (
        (left, _number(low), 'left'),
        (left + width / 2, scale, 'center'),
        (left + width, _number(high), 'right'),
    ):
        figure.text(
            x / layout.total_width,
            y,
            text,
            fontsize=_SMALL,
            color='#444444',
            ha=side,
            va='top',
        )


def _number(value: float) -> str:
    """Writes a number with three digits."""
    return f'{value:.3g}' if abs(value) > 1e-9 else '0'


def _extent(panel: Panel, picture: Scene) -> tuple[float, float, float, float]:
    """Returns what a map covers, in pixels of the image.

    A map of a padded image covers padding too, and one of an odd size a bit more; both
    lie right and below, where `_frame` cuts them off.
    """
    height, width = panel.values.shape[:2]
    if (height, width) == picture.image.shape[:2]:
        return (0, width, height, 0)
    rows, cols = picture.inputs.shape[-2:]
    if rows / height == cols / width:
        stride = rows / height
        return (0, stride * width, stride * height, 0)
    return (0, _stride(cols, width) * width, _stride(rows, height) * height, 0)


def _stride(pixels: int, cells: int) -> float:
    """Returns the pixels of a cell: strides are powers of two, sizes are rounded up."""
    stride = 2.0 ** round(math.log2(pixels / cells))
    return stride if math.ceil(pixels / stride) == cells else pixels / cells


def _frame(axis: Any, picture: Scene) -> None:
    """Cuts to the image and takes the marks away."""
    height, width = picture.image.shape[:2]
    axis.set_xlim(0, width)
    axis.set_ylim(height, 0)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_linewidth(0.4)
        spine.set_color('#888888')


def _boxes(axis: Any, page: Page, *, coloured: bool) -> None:
    """The true boxes; on maps in white, since colours mean values there."""
    from matplotlib import patheffects
    from matplotlib.patches import Rectangle

    picture = page.picture
    count = max([len(page.classes), *(picture.labels + 1).tolist()], default=1)
    table = colour_table(page.palette, count) / 255
    for (left, top, right, bottom), label in zip(picture.boxes, picture.labels):
        colour = _readable(table[label]) if coloured else 'white'
        casing = patheffects.withStroke(
            linewidth=2.2 if coloured else 1.4, foreground='black', alpha=0.7
        )
        axis.add_patch(
            Rectangle(
                (left, top),
                right - left,
                bottom - top,
                fill=False,
                linewidth=1.2 if coloured else 0.7,
                edgecolor=colour,
                path_effects=[casing],
            )
        )


def _readable(colour: NDArray[Any]) -> NDArray[Any]:
    """Lightens a dark colour, so that its lines are seen on dark pictures."""
    brightness = float(colour @ np.array([0.3, 0.6, 0.1]))
    return colour + (1 - colour) * max(0.0, 0.45 - brightness)


# ---- the legend --------------------------------------------------------------------

_Entry = tuple[str, Any]


def _legend_entries(page: Page) -> list[_Entry]:
    """Returns the classes that the picture has, with their colours."""
    labels = set(page.picture.labels.tolist())
    shows_classes = any(not p.scale for row in page.rows for p in row.panels)
    if shows_classes and page.picture.truth is not None:
        labels |= set(np.unique(page.picture.truth).tolist())
    known = sorted(label for label in labels if 0 <= label < len(page.classes))
    if not known:
        return []
    table = colour_table(page.palette, len(page.classes)) / 255
    lighten = not shows_classes
    return [
        (page.classes[label], _readable(table[label]) if lighten else table[label])
        for label in known
    ]


def _legend_lines(entries: list[_Entry], width: float) -> list[list[_Entry]]:
    """Breaks the legend into lines."""
    lines: list[list[_Entry]] = []
    used = width
    for entry in entries:
        needed = _entry_width(entry)
        if used + needed > width:
            lines.append([])
            used = 0.0
        lines[-1].append(entry)
        used += needed
    return lines


def _entry_width(entry: _Entry) -> float:
    return 0.34 + 0.075 * len(entry[0])


def _legend(
    figure: Any, layout: _Layout, line: list[_Entry], x: float, top: float
) -> None:
    """Writes entries beside each other."""
    from matplotlib.patches import Rectangle

    for entry in line:
        name, colour = entry
        left, bottom, width, height = layout.box(x, top + 0.05, 0.12, 0.1)
        figure.add_artist(
            Rectangle(
                (left, bottom),
                width,
                height,
                facecolor=colour,
                edgecolor='#555555',
                linewidth=0.4,
                transform=figure.transFigure,
            )
        )
        figure.text(
            (x + 0.17) / layout.total_width,
            bottom + height / 2,
            name,
            fontsize=_SMALL + 0.5,
            color=_INK,
            va='center',
        )
        x += _entry_width(entry)
