"""The values that each link compares on one batch, computed from outside."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from mmkd_ext.algorithms.dry_run import undisturbed
from mmkd_ext.distillers.links import BATCH, STUDENT
from mmkd_ext.distillers.taps import Recorder
from mmkd_ext.errors import ConfigError, did_you_mean
from mmkd_ext.random_state import preserve_random_state

if TYPE_CHECKING:
    from mmkd_ext.algorithms.teacher_distill import TeacherDistill
    from mmkd_ext.distillers.link_distiller import LinkDistiller
    from mmkd_ext.distillers.links import Link, Tap

__all__ = [
    'Comparison',
    'check_levels',
    'choose_links',
    'level_count',
    'look',
    'sides_of',
    'tap_of',
]


@dataclass(frozen=True)
class Comparison:
    """Inputs of the loss of one link on one batch.

    Args:
        link: The link.
        loss: Its loss, a copy of the one that trains.
        values: Arguments of the loss, after connectors and alignment.
        levels: Student's and teacher's map ``(n c h w)`` of each level.
        regions: Maps ``(n h w)`` of each level that go into the loss beside them, by
            what made them; those of other links on the same levels too.
        total: What the loss says to it, without the weight schedule; None if it says
            no single number.
    """

    link: Link
    loss: nn.Module
    values: dict[str, Any]
    levels: list[tuple[Tensor, Tensor]]
    regions: dict[str, list[Tensor]]
    total: float | None


def look(
    algorithm: TeacherDistill,
    inputs: Tensor,
    data_samples: Any,
    links: Iterable[str] | None = None,
) -> list[Comparison]:
    """Runs student and teachers in eval mode and returns what the links compare.

    Modes, statistics, generators and the global random numbers are afterwards what they
    were; connectors and losses work on copies. Without ``links`` it is all that compare
    maps of the normalised batch ``(n c h w)``.
    """
    if algorithm.stores:
        raise ConfigError(
            'A stored teacher knows the training pictures alone. Draw with `mmkd '
            'visualize`, which runs the teacher, instead of in training.'
        )
    with preserve_random_state(devices=True), undisturbed(algorithm):
        distiller = _copy_of(algorithm.distiller)
        chosen = [one for one in distiller.links if links is None or one.name in links]
        batch = algorithm.student_batch(inputs, data_samples)
        for name, teacher in algorithm.teachers.items():
            if name in distiller.recorders:
                teacher.run(distiller.recorders[name], inputs, data_samples)
        recorder = distiller.recorders.get(STUDENT)
        if recorder is not None:
            with recorder.recording(algorithm.architecture, stop=True):
                mode = algorithm.student_mode
                algorithm.architecture(**batch, mode=mode)
        values = {link.name: distiller.sides(link, batch) for link in distiller.links}
        regions: dict[str, list[Tensor]] = {}
        for link in distiller.links:
            regions.update(_regions(distiller, link, values[link.name]))
        found = [_compare(distiller, one, values[one.name], regions) for one in chosen]
    return [one for one in found if links is not None or one.levels]


def _compare(
    distiller: LinkDistiller,
    link: Link,
    values: dict[str, Any],
    regions: dict[str, list[Tensor]],
) -> Comparison:
    loss = distiller.distill_losses[link.name]
    student, teacher = (values.get(key or '') for key in sides_of(link))
    levels = _maps(student, teacher)
    sizes = [level.shape[2:] for level, _ in levels]
    fitting = {
        title: region
        for title, region in regions.items()
        if _regions(distiller, link, values) and [x.shape[1:] for x in region] == sizes
    }
    value = loss(**values)
    single = isinstance(value, Tensor) and value.numel() == 1
    total = float(value) if single else None
    return Comparison(link, loss, values, levels, fitting, total)


def _regions(
    distiller: LinkDistiller, link: Link, values: dict[str, Any]
) -> dict[str, list[Tensor]]:
    """Returns a link's arguments that are maps ``(n h w)`` of every level."""
    regions = {}
    for key, value in values.items():
        levels = [value] if isinstance(value, Tensor) else value
        if key in sides_of(link) or not isinstance(levels, (list, tuple)) or not levels:
            continue
        if all(isinstance(one, Tensor) and one.dim() == 3 for one in levels):
            name = link.taps[key].connector
            title = key if name is None else type(distiller.connectors[name]).__name__
            regions[title] = list(levels)
    return regions


def sides_of(link: Link) -> tuple[str | None, str | None]:
    """Returns the names of the arguments that hold student and teacher.

    ``preds_S`` and ``preds_T``; in losses of others, the first of each.
    """
    taps = link.taps.items()
    student = (key for key, tap in taps if tap.of == STUDENT)
    teacher = (key for key, tap in taps if tap.of not in (STUDENT, BATCH))
    return (
        'preds_S' if 'preds_S' in link.taps else next(student, None),
        'preds_T' if 'preds_T' in link.taps else next(teacher, None),
    )


def tap_of(link: Link, key: str | None) -> Tap | None:
    """Returns the tap of an argument."""
    return None if key is None else link.taps.get(key)


def _maps(student: Any, teacher: Any) -> list[tuple[Tensor, Tensor]]:
    """Pairs the levels; none where a side holds no maps."""
    sides = [
        [side] if isinstance(side, Tensor) else list(side)
        for side in (student, teacher)
        if isinstance(side, (Tensor, list, tuple))
    ]
    if len(sides) < 2 or len(sides[0]) != len(sides[1]):
        return []
    pairs = list(zip(*sides))
    flat = [level for pair in pairs for level in pair]
    drawable = all(isinstance(x, Tensor) and x.dim() == 4 for x in flat)
    return pairs if drawable else []


# ---- before anything runs ----------------------------------------------------------


def choose_links(distiller: LinkDistiller, names: Iterable[str] | None) -> list[str]:
    """Returns the names of the links to draw, all for None; raises `ConfigError`."""
    known = [link.name for link in distiller.links]
    for name in names or ():
        if name not in known:
            raise ConfigError(
                f'There is no link {name!r}; the config has {known}.'
                f'{did_you_mean(name, known)}'
            )
    return known if names is None else list(dict.fromkeys(names))


def level_count(distiller: LinkDistiller, name: str) -> int:
    """Returns how many levels of maps a link compares in the dry run, 0 for no maps."""
    link = next(one for one in distiller.links if one.name == name)
    shapes = next((p.shapes for p in distiller.plans if p.name == name), {})
    counts = []
    for key in sides_of(link):
        shape = shapes.get(key or '')
        levels = shape if isinstance(shape, list) else [shape]
        maps = all(isinstance(one, tuple) and len(one) == 4 for one in levels)
        counts.append(len(levels) if maps else 0)
    return min(counts)


def check_levels(
    distiller: LinkDistiller, names: Iterable[str], levels: Iterable[int] | None
) -> None:
    """Raises `ConfigError` where a link has no maps, or no such level."""
    for name in names:
        count = level_count(distiller, name)
        if not count:
            raise ConfigError(
                f'The link {name!r} compares no maps (n c h w), so there is nothing to '
                'draw over a picture. Choose others with `links`.'
            )
        for level in levels or ():
            if not 0 <= level < count:
                raise ConfigError(
                    f'The link {name!r} has {count} level(s), 0 to {count - 1}, but '
                    f'level {level} is asked for.'
                )


# ---- leaving no trace --------------------------------------------------------------


def _copy_of(distiller: LinkDistiller) -> LinkDistiller:
    """Returns a copy in eval mode that records on its own."""
    recorders = {
        owner: Recorder(owner, one.taps) for owner, one in distiller.recorders.items()
    }
    # the memo says that these were copied already
    twin: LinkDistiller = copy.deepcopy(distiller, {id(distiller.recorders): recorders})
    return twin.eval()
