"""Figures of a distillation on given images, for the tool and the hook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmkd_ext.errors import ConfigError
from mmkd_ext.random_state import preserve_random_state
from mmkd_ext.visualization.columns import Row, rows_of
from mmkd_ext.visualization.figure import Page, draw
from mmkd_ext.visualization.probe import (
    Comparison,
    check_levels,
    choose_links,
    level_count,
    look,
    sides_of,
    tap_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmkd_ext.algorithms.teacher_distill import TeacherDistill
    from mmkd_ext.distillers.links import Tap
    from mmkd_ext.visualization.samples import Pictures, Scene

__all__ = ['Figure', 'chosen_links', 'draw_pictures']


@dataclass(frozen=True)
class Figure:
    """A figure, RGB ``(h w 3)``, of a link on the image of this index."""

    link: str
    index: int
    image: NDArray[Any]


def chosen_links(
    algorithm: TeacherDistill,
    links: Sequence[str] | None = None,
    levels: Sequence[int] | None = None,
) -> list[str]:
    """Returns the names of the links that will be drawn, all with maps for None.

    Raises:
        ConfigError: There is no such link or level, or no link compares maps.
    """
    distiller = algorithm.distiller
    names = choose_links(distiller, links)
    if links is None:
        names = [name for name in names if level_count(distiller, name)]
        if not names:
            raise ConfigError(
                'No link compares maps (n c h w), so there is nothing to draw: '
                f'{[link.name for link in distiller.links]}.'
            )
        # links that compare fewer levels show those that they have
        deepest = max(names, key=lambda name: level_count(distiller, name))
        check_levels(distiller, [deepest], levels)
    else:
        check_levels(distiller, names, levels)
    return names


def draw_pictures(
    algorithm: TeacherDistill,
    pictures: Pictures,
    indices: Sequence[int],
    *,
    links: Sequence[str] | None = None,
    levels: Sequence[int] | None = None,
    when: str = '',
    own_scales: bool = False,
) -> Iterator[Figure]:
    """Yields a figure for each image and link; the distillation's state stays.

    Args:
        algorithm: The distillation.
        pictures: Where images come from.
        indices: Which images.
        links: Names of links; None for all that compare maps.
        levels: Levels of each; None for all.
        when: What the weights are, for the title.
        own_scales: Whether each map has a scale of its own.
    """
    names = chosen_links(algorithm, links, levels)
    for index in indices:
        with preserve_random_state(devices=True):
            picture = pictures.load(index, algorithm)
            samples = picture.data_samples
            comparisons = look(algorithm, picture.inputs, samples, names)
        for comparison in comparisons:
            count = len(comparison.levels)
            shown = [x for x in range(count) if levels is None or x in levels]
            if not shown:
                continue
            rows = rows_of(
                comparison,
                algorithm.architecture,
                levels=shown,
                palette=pictures.palette,
                truth=picture.truth,
                own_scales=own_scales,
            )
            page = _page(algorithm, comparison, picture, pictures, rows, when)
            yield Figure(comparison.link.name, index, draw(page))


def _page(
    algorithm: TeacherDistill,
    comparison: Comparison,
    picture: Scene,
    pictures: Pictures,
    rows: list[Row],
    when: str,
) -> Page:
    link = comparison.link
    taps = [tap for key in sides_of(link) if (tap := tap_of(link, key))]
    plan = next((p for p in algorithm.distiller.plans if p.name == link.name), None)
    name = f' ({picture.name})' if picture.name else ''
    parts = [
        f'image {picture.index} of {pictures.split}{name}',
        when,
        '' if comparison.total is None else f'loss on it {comparison.total:.4g}',
    ]
    notes = [f'{tap.of}: {_place(algorithm, tap)}' for tap in taps]
    if plan is not None and plan.alignment != 'none':
        notes.append(f'student aligned: {_shortened(plan.alignment)}')
    single = len(rows) == 1 or any(row.below for row in rows)
    return Page(
        f'{link.name}: {type(comparison.loss).__name__}',
        '  ·  '.join(part for part in [*parts, *(notes if single else [])] if part),
        picture,
        rows,
        pictures.classes,
        pictures.palette,
        notes,
    )


def _place(algorithm: TeacherDistill, tap: Tap) -> str:
    """Describes where a tap is, and its connector."""
    part = '' if tap.item is None else f', item {tap.item}'
    if tap.connector is None:
        return f'{tap.source}{part}'
    connector = algorithm.distiller.connectors[tap.connector]
    return f'{tap.source}{part}, through {type(connector).__name__}'


def _shortened(alignment: str) -> str:
    """Returns a description with equal parts counted.

    Examples:
        >>> _shortened('1x1 conv 2->4, 1x1 conv 2->4, bilinear to the teacher')
        '2 times 1x1 conv 2->4, bilinear to the teacher'
    """
    counts = Counter(alignment.split(', ')).items()
    return ', '.join(f'{n} times {part}' if n > 1 else part for part, n in counts)
