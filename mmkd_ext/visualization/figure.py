"""Drawing of a figure: a row for each level, a column for each map.

Matplotlib directly, and not `draw_featmap` of mmengine's Visualizer: that scales each
map by itself, so teacher and student could not be compared by their colours, and gives
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

_AREA = 5.2  # square inches of a panel
_DPI = 100
_BACKGROUND = '#101010'  # where a map has no value


@dataclass(frozen=True)
class Page:
    """Content of a figure.

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


def draw(page: Page) -> NDArray[Any]:
    """Returns the page as RGB ``(h w 3)``, from 0 to 255."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = len(page.rows), 1 + max(len(row.panels) for row in page.rows)
    height, width = page.picture.image.shape[:2]
    # extreme images would leave no room for words
    aspect = min(max(width / height, 0.4), 4.0)
    across = math.sqrt(_AREA * aspect)
    size = (columns * (across + 0.1), rows * (across / aspect + 0.55) + 0.75)
    figure = Figure(figsize=size, dpi=_DPI, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.suptitle(f'{page.title}\n{page.subtitle}', x=0.01, ha='left', fontsize=10)
    for row, places in zip(page.rows, axes):
        _row(figure, places, page, row)
    _picture(axes[0, 0], page)
    _legend(figure, axes, page)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def to_png(image: NDArray[Any]) -> bytes:
    """Returns RGB ``(h w 3)`` as a PNG file."""
    from PIL import Image

    with io.BytesIO() as buffer:
        Image.fromarray(image).save(buffer, 'PNG', optimize=True)
        return buffer.getvalue()


# ---- parts -------------------------------------------------------------------------


def _picture(axis: Any, page: Page) -> None:
    """The image with its boxes."""
    count = len(page.picture.boxes)
    boxes = f', {count} true box{"es" if count > 1 else ""}' if count else ''
    axis.set_axis_on()
    axis.set_title(f'picture{boxes}', fontsize=9, loc='left')
    axis.imshow(page.picture.image, interpolation='antialiased')
    _boxes(axis, page, coloured=True)
    _frame(axis, page.picture)


def _row(figure: Any, axes: NDArray[Any], page: Page, row: Row) -> None:
    """The maps of a level, and under them a colour bar for each scale."""
    axes[0].set_axis_off()
    if row.below is not None:
        axes[0].set_axis_on()
        axes[0].set_title(row.below.title, fontsize=9, loc='left')
        _map(axes[0], row.below, page, None)
    for axis in axes[1 + len(row.panels) :]:
        axis.set_axis_off()
    axes[1].set_ylabel(row.name, fontsize=9)
    shared: dict[str, list[Any]] = {}
    for axis, panel in zip(axes[1:], row.panels):
        same = [p for p in row.panels if p.scale == panel.scale]
        axis.set_title(panel.title, fontsize=9, loc='left')
        shown = _map(axis, panel, page, _limits(same) if panel.scale else None)
        if panel.scale:
            axis.set_title(_own_range(panel), fontsize=7, loc='right', color='#777777')
            shared.setdefault(panel.scale, [shown]).append(axis)
    for scale, (shown, *places) in shared.items():
        bar = figure.colorbar(
            shown, ax=places, location='bottom', aspect=40 * len(places), pad=0.02
        )
        bar.ax.minorticks_off()  # their labels overlap on a short log scale
        bar.set_label(scale, fontsize=7, labelpad=1)
        bar.ax.tick_params(labelsize=7, length=2, pad=1)


def _map(
    axis: Any, panel: Panel, page: Page, limits: tuple[float, float] | None
) -> Any:
    """A map over the place that it covers, with the boxes."""
    from matplotlib.colors import LogNorm, Normalize

    colours: dict[str, Any] = {}
    if limits is not None:
        norm = LogNorm if panel.log else Normalize
        colours = {'cmap': panel.cmap, 'norm': norm(*limits)}
    extent = _extent(panel, page.picture)
    shown = axis.imshow(
        panel.values, extent=extent, interpolation='nearest', **colours
    )
    axis.set_facecolor(_BACKGROUND)
    _boxes(axis, page, coloured=False)
    _frame(axis, page.picture)
    return shown


def _limits(panels: list[Panel]) -> tuple[float, float]:
    """Returns the ends of a scale that panels share, from their finite values."""
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
    text = f'{values.min():.3g} to {values.max():.3g}' if values.size else ''
    lost = int((~np.isfinite(panel.values)).sum())
    return f'{text}, {lost} not finite' if lost else text


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
        return (0, cols, rows, 0)
    return (0, _covered(cols, width), _covered(rows, height), 0)


def _covered(pixels: int, cells: int) -> float:
    """Returns what cells cover: strides are powers of two, sizes are rounded up."""
    stride = 2.0 ** round(math.log2(pixels / cells))
    return stride * cells if math.ceil(pixels / stride) == cells else pixels


def _frame(axis: Any, picture: Scene) -> None:
    """Cuts to the image and takes the marks away."""
    height, width = picture.image.shape[:2]
    axis.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])


def _boxes(axis: Any, page: Page, *, coloured: bool) -> None:
    """The true boxes; on maps in white, since colours mean values there."""
    from matplotlib import patheffects
    from matplotlib.patches import Rectangle

    picture = page.picture
    count = max([len(page.classes), *(picture.labels + 1).tolist()], default=1)
    table = _readable(colour_table(page.palette, count) / 255)
    casing = [patheffects.withStroke(linewidth=2, foreground='black', alpha=0.7)]
    for (left, top, right, bottom), label in zip(picture.boxes, picture.labels):
        line: dict[str, Any] = dict(linewidth=0.7, edgecolor='white')
        if coloured:
            line = dict(linewidth=1.2, edgecolor=table[label])
        size = right - left, bottom - top
        box = Rectangle((left, top), *size, fill=False, path_effects=casing, **line)
        axis.add_patch(box)
        box.set_in_layout(False)  # it may reach beyond the picture


def _readable(colours: NDArray[Any]) -> NDArray[Any]:
    """Lightens dark colours ``(k 3)``, so that lines are seen on dark pictures."""
    brightness = colours @ np.array([0.3, 0.6, 0.1])
    missing = np.maximum(0.0, 0.45 - brightness)[:, None]
    return np.asarray(colours + (1 - colours) * missing)


def _legend(figure: Any, axes: NDArray[Any], page: Page) -> None:
    """The classes and the notes: in the picture's column if it is free, else below."""
    from matplotlib.patches import Patch

    free = len(page.rows) > 1 and all(row.below is None for row in page.rows)
    entries = [Patch(facecolor=c, label=name) for name, c in _classes(page)]
    style: dict[str, Any] = {'fontsize': 7.5, 'frameon': False, 'handlelength': 1}
    if entries and free:
        axes[1, 0].legend(handles=entries, loc='upper left', ncols=2, **style)
    elif entries:
        ncols = 3 * axes.shape[1]
        figure.legend(handles=entries, loc='outside lower left', ncols=ncols, **style)
    if free:
        lines = [line for note in page.notes for line in textwrap.wrap(note, 40)]
        place = axes[-1, 0].transAxes
        axes[-1, 0].text(
            0, 0, '\n'.join(lines), transform=place, fontsize=8, color='#555555'
        ).set_in_layout(False)


def _classes(page: Page) -> list[tuple[str, Any]]:
    """Returns the classes that the picture has, with their colours."""
    labels = set(page.picture.labels.tolist())
    shows_classes = any(not p.scale for row in page.rows for p in row.panels)
    if shows_classes and page.picture.truth is not None:
        labels |= set(np.unique(page.picture.truth).tolist())
    table = colour_table(page.palette, max(1, len(page.classes))) / 255
    table = table if shows_classes else _readable(table)
    known = sorted(label for label in labels if 0 <= label < len(page.classes))
    return [(page.classes[label], table[label]) for label in known]
