"""Pictures of a segmentation experiment: class maps, what was mended, curves."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmkd_ext.errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    'BROKEN',
    'MENDED',
    'Change',
    'bar_figure',
    'colourise',
    'compare',
    'curves_figure',
    'mended_map',
    'png',
]

MENDED = (27, 158, 75)
BROKEN = (214, 39, 40)
_IGNORED = (0, 0, 0)


class Change:
    """How one prediction differs from another, against the truth.

    Args:
        mended: Pixels ``(h w)`` that only the second one has right.
        broken: Pixels ``(h w)`` that only the first one has right.
        valid: Pixels ``(h w)`` that have a truth.
    """

    def __init__(
        self, mended: NDArray[Any], broken: NDArray[Any], valid: NDArray[Any]
    ) -> None:
        self.mended, self.broken, self.valid = mended, broken, valid

    @property
    def shares(self) -> tuple[float, float]:
        """Mended and broken pixels in percent of those that have a truth."""
        count = max(int(self.valid.sum()), 1)
        return (
            100.0 * float(self.mended.sum()) / count,
            100.0 * float(self.broken.sum()) / count,
        )


def compare(
    before: NDArray[Any], after: NDArray[Any], truth: NDArray[Any], *, ignore: int = 255
) -> Change:
    """Returns where ``after`` is right and ``before`` was not, and the reverse.

    Args:
        before: Class of each pixel ``(h w)``.
        after: Likewise.
        truth: Likewise; pixels of class ``ignore`` count for nothing.
        ignore: See ``truth``.

    Raises:
        ShapeError: The three differ in size.
    """
    if not before.shape == after.shape == truth.shape:
        raise ShapeError(
            f'Class maps of different sizes: before {before.shape}, after '
            f'{after.shape}, truth {truth.shape}. Predict at the size of the truth.'
        )
    valid = truth != ignore
    was, now = before == truth, after == truth
    return Change(valid & ~was & now, valid & was & ~now, valid)


def colourise(
    labels: NDArray[Any], palette: Sequence[Sequence[int]], *, ignore: int = 255
) -> NDArray[Any]:
    """Returns class map ``(h w)`` as RGB ``(h w 3)``; unknown classes are black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = np.asarray(palette, np.uint8)
    table[ignore] = _IGNORED
    return np.asarray(table[labels.astype(np.uint8)])


def mended_map(image: NDArray[Any], change: Change) -> NDArray[Any]:
    """Returns RGB ``(h w 3)``: the image, pale and grey, under green and red pixels."""
    grey = image.astype(np.float32).mean(-1, keepdims=True)
    canvas = np.repeat(0.45 * grey + 130.0, 3, axis=-1).clip(0, 255)
    canvas[change.mended] = MENDED
    canvas[change.broken] = BROKEN
    return np.asarray(canvas.astype(np.uint8))


def png(picture: NDArray[Any]) -> bytes:
    """Returns RGB ``(h w 3)`` as a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'PNG', optimize=True)
    return buffer.getvalue()


Curve = tuple[Sequence[int], Sequence[float]]


def curves_figure(
    panels: Mapping[str, Mapping[str, Curve]], colours: Mapping[str, str]
) -> bytes:
    """Draws line charts beside each other and returns a PNG file.

    Args:
        panels: Title of a chart to its curves, each a name with steps and values. A
            chart without curves is left out.
        colours: Colour of each name.
    """
    shown = {title: curves for title, curves in panels.items() if curves}
    figure, axes = _axes(len(shown))
    names: dict[str, Any] = {}
    for axis, (title, curves) in zip(axes, shown.items()):
        for name, (steps, values) in curves.items():
            dots = 'o' if len(steps) < 16 else ''
            (names[name],) = axis.plot(
                steps, values, dots + '-', ms=3.5, lw=1.8, color=colours.get(name)
            )
        axis.set_title(title, loc='left', fontsize=10.5, fontweight='bold')
        axis.set_xlabel('iteration', fontsize=9)
        axis.set_xlim(left=0)
        axis.grid(alpha=0.25, lw=0.6)
        axis.tick_params(labelsize=8.5)
        for side in ('top', 'right'):
            axis.spines[side].set_visible(False)
    figure.legend(
        list(names.values()),
        list(names),
        loc='lower center',
        ncols=max(len(names), 1),
        frameon=False,
        fontsize=9.5,
    )
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    return _save(figure)


def bar_figure(
    groups: Sequence[str],
    bars: Mapping[str, Sequence[float | None]],
    colours: Mapping[str, str],
    *,
    label: str,
) -> bytes:
    """Draws upright bars, a group a class, and returns a PNG file.

    Args:
        groups: Names under the groups.
        bars: Name to one value a group; ``None`` leaves a gap.
        colours: Colour of each name.
        label: Of the upright axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.1), dpi=110)
    axis = figure.subplots()
    width = 0.8 / max(len(bars), 1)
    for number, (name, values) in enumerate(bars.items()):
        shift = (number - (len(bars) - 1) / 2) * width
        places = [group + shift for group in range(len(groups))]
        heights = [0.0 if value is None else value for value in values]
        axis.bar(places, heights, width * 0.92, label=name, color=colours.get(name))
    axis.set_xticks(range(len(groups)), groups, rotation=35, ha='right', fontsize=8.5)
    axis.set_xlim(-0.6, len(groups) - 0.4)
    axis.set_ylabel(label, fontsize=9)
    axis.tick_params(axis='y', labelsize=8.5)
    axis.grid(axis='y', alpha=0.25, lw=0.6)
    axis.set_axisbelow(True)
    for side in ('top', 'right'):
        axis.spines[side].set_visible(False)
    axis.legend(
        frameon=False, fontsize=9, ncols=len(bars), loc='lower right',
        bbox_to_anchor=(1.0, 1.0),
    )
    figure.tight_layout()
    return _save(figure)


def _axes(count: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.5 * max(count, 1), 3.2), dpi=110)
    axes = figure.subplots(1, max(count, 1), squeeze=False)
    return figure, list(axes[0])


def _save(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', facecolor='white')
    return buffer.getvalue()
