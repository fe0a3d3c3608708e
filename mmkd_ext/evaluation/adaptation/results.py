"""The result file of an adaptation run, read and summed up.

A cell is one domain in one round. A cell that an interrupted run has not come to is
missing: it is in no mean, and nowhere taken for 0.
"""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation.record import SCHEMA

__all__ = ['SCHEMA', 'AdaptResults', 'Cell', 'Place', 'read_results']

Place = tuple[int, str]

_LISTS = ('classes', 'cells', 'source_eval', 'events', 'timeline', 'pictures')


@dataclass(frozen=True)
class Cell:
    """What was measured on one domain in one round.

    Args:
        round: From 1 on.
        domain: Its name.
        figures: Name to value; one that is not finite is ``None``.
        ious: IoU of each class in percent, ``None`` where the class does not occur.
        losses: Mean of each loss.
    """

    round: int
    domain: str
    figures: Mapping[str, float | None]
    ious: Mapping[str, float | None] = field(default_factory=dict)
    losses: Mapping[str, float | None] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float | None:
        """Returns a figure, ``None`` when it was not measured."""
        return self.figures.get(name)


@dataclass(frozen=True)
class AdaptResults:
    """One run: what was set, what came out cell by cell, and what happened.

    Args:
        settings: Of the run.
        classes: Their names.
        cells: Those that are there, by round and domain.
        source_eval: mIoU on the source's own data, in the order of measuring.
        events: What the guard and the loop did.
        timeline: Figures along the stream.
        prototypes: Distances between the prototypes of the domains, if it has any.
        buffer: What the replay buffer holds, if there is one.
        pictures: Predictions before and after.
        path: The file it was read from.
    """

    settings: Mapping[str, Any]
    classes: Sequence[str]
    cells: Mapping[Place, Cell]
    source_eval: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    timeline: Sequence[Mapping[str, Any]] = ()
    prototypes: Mapping[str, Any] | None = None
    buffer: Sequence[Mapping[str, Any]] | None = None
    pictures: Sequence[Mapping[str, Any]] = ()
    path: str = ''

    @property
    def method(self) -> str:
        """Name of the method, without what every distiller's name ends in."""
        name = str(self.settings.get('method', '?')).rpartition('.')[2]
        return name[: -len('Distiller')] if name.endswith('Distiller') else name

    @property
    def learning_rate(self) -> float | None:
        """The first ``lr`` in the optimizer's settings."""
        return _find_rate(self.settings.get('optimizer'))

    @property
    def domains(self) -> list[str]:
        """Each domain once, in the order of the stream."""
        found = [domain for _, domain in self.cells]
        return list(dict.fromkeys([*_named(self.settings), *found]))

    @property
    def rounds(self) -> list[int]:
        """Their numbers, also those that the run has not come to."""
        last = max([round_ for round_, _ in self.cells], default=0)
        return list(range(1, max(int(self.settings.get('rounds') or 0), last) + 1))

    @property
    def places(self) -> list[Place]:
        """Every cell that the run shall have, in the order of the stream."""
        return [(r, d) for r in self.rounds for d in self.domains]

    @property
    def missing(self) -> list[Place]:
        """The cells that it does not have."""
        return [place for place in self.places if place not in self.cells]

    def miou(self, round_: int, domain: str) -> float | None:
        """Returns the mIoU of a cell in percent, ``None`` when it is missing."""
        cell = self.cells.get((round_, domain))
        return None if cell is None else cell['mIoU']

    def round_mean(self, round_: int, figure: str = 'mIoU') -> float | None:
        """Returns the mean over the domains, ``None`` unless all are there."""
        return _complete_mean(self._values(figure, [(round_, d) for d in self.domains]))

    def domain_mean(self, domain: str, figure: str = 'mIoU') -> float | None:
        """Returns the mean over the cells of ``domain`` that are there."""
        return _mean(self._values(figure, [(r, domain) for r in self.rounds]))

    @property
    def mean(self) -> float | None:
        """The unweighted mean of the cells that are there."""
        return _mean(self._values('mIoU', self.places))

    @property
    def worst(self) -> Cell | None:
        """The cell of the lowest mIoU; the earliest of several."""
        found = [(c['mIoU'], c) for c in self.cells.values() if c['mIoU'] is not None]
        return min(found, key=lambda pair: pair[0])[1] if found else None

    @property
    def whole_rounds(self) -> list[int]:
        """The rounds of which every cell has a mIoU."""
        return [r for r in self.rounds if self.round_mean(r) is not None]

    @property
    def drift(self) -> float | None:
        """Mean of the last whole round minus that of the first round."""
        whole = self.whole_rounds
        if len(whole) < 2 or whole[0] != 1:
            return None
        return _difference(self.round_mean(whole[-1]), self.round_mean(1))

    @property
    def forgetting(self) -> float | None:
        """The mIoU on the source's data at the end minus that before adaptation."""
        if len(self.source_eval) < 2:
            return None
        first, last = self.source_eval[0], self.source_eval[-1]
        return _difference(_number(last.get('mIoU')), _number(first.get('mIoU')))

    def total(self, figure: str, round_: int | None = None) -> int | None:
        """Returns the sum of a count over the cells, of one round if asked for."""
        found = [value for value, _ in self._weighted(figure, round_)]
        return round(math.fsum(found)) if found else None

    def per_image(self, figure: str, round_: int | None = None) -> float | None:
        """Returns the mean of a figure over the images of the cells."""
        pairs = self._weighted(figure, round_)
        weight = sum(images for _, images in pairs)
        if not weight:
            return None
        return math.fsum(value * images for value, images in pairs) / weight

    def images_per_second(self, round_: int | None = None) -> float | None:
        """Returns all images over all the time that their adaptation took."""
        pairs = [p for p in self._weighted('images_per_second', round_) if p[0] > 0]
        seconds = math.fsum(images / speed for speed, images in pairs)
        return sum(images for _, images in pairs) / seconds if seconds else None

    def peak(self, figure: str, round_: int | None = None) -> float | None:
        """Returns the largest value of a figure."""
        return max([value for value, _ in self._weighted(figure, round_)], default=None)

    def iou(self, label: str, places: Iterable[Place]) -> float | None:
        """Returns the mean IoU of a class over those cells where it has one."""
        cells = [self.cells[place] for place in places if place in self.cells]
        return _mean(cell.ious.get(label) for cell in cells)

    def _values(self, figure: str, places: Iterable[Place]) -> list[float | None]:
        cells = [self.cells.get(place) for place in places]
        return [None if cell is None else cell[figure] for cell in cells]

    def _weighted(self, figure: str, round_: int | None) -> list[tuple[float, float]]:
        """Returns value and images of each cell that has the figure."""
        return [
            (value, cell['images'] or 0.0)
            for cell in self.cells.values()
            if round_ in (None, cell.round) and (value := cell[figure]) is not None
        ]


def read_results(path: str | Path) -> AdaptResults:
    """Reads the ``results.json`` of an adaptation run, finished or not.

    Args:
        path: The file, or the work directory that holds it.

    Raises:
        DataError: There is none, it is damaged, or it is another kind of file.
    """
    file = Path(path)
    if file.is_dir():
        file = file / 'results.json'
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise DataError(
            f'No result file {str(file)!r}. An adaptation run writes it into its work '
            'directory after the first domain.'
        ) from error
    except OSError as error:
        raise DataError(f'{str(file)!r} cannot be read: {error.strerror}.') from error
    except ValueError as error:  # of JSON, or of the encoding
        raise DataError(
            f'{str(file)!r} is not JSON: {error}. It was cut off or is another file; '
            'a run that goes on (`--resume`) writes it anew.'
        ) from error
    return _checked(content, str(file))


def _checked(content: Any, name: str) -> AdaptResults:
    if not isinstance(content, dict) or 'schema' not in content:
        raise DataError(
            f'{name!r} is no result file of an adaptation: it has no `schema`. Give '
            'the `results.json` of its work directory.'
        )
    if content['schema'] != SCHEMA:
        raise DataError(
            f'{name!r} has schema {content["schema"]!r}, this version reads {SCHEMA}. '
            'Report it with the version of MMKD-Ext that wrote it.'
        )
    _check_types(content, name)
    lists = {key: content.get(key) or [] for key in _LISTS}
    cells: dict[Place, Cell] = {}
    for index, raw in enumerate(lists['cells']):
        cell = _cell(raw, f'`cells[{index}]` of {name!r}')
        place = (cell.round, cell.domain)
        if place in cells:
            raise DataError(
                f'`cells[{index}]` of {name!r} repeats round {cell.round}, '
                f'`{cell.domain}`. Two runs wrote one file: give each its own '
                '`--work-dir`.'
            )
        cells[place] = cell
    return AdaptResults(
        settings=content['settings'],
        classes=[str(label) for label in lists['classes']],
        cells=cells,
        prototypes=_prototypes(content.get('prototypes'), name),
        buffer=content.get('buffer'),
        path=name,
        **{key: lists[key] for key in _LISTS[2:]},
    )


def _check_types(content: Mapping[str, Any], name: str) -> None:
    if not isinstance(content.get('settings'), dict):
        raise DataError(f'`settings` of {name!r} is missing: the file is damaged.')
    rounds = content['settings'].get('rounds')
    if rounds is not None and (not isinstance(rounds, int) or rounds < 1):
        raise DataError(
            f'`settings.rounds` of {name!r} must be a number from 1 on, but is '
            f'{rounds!r}.'
        )
    for key in (*_LISTS, 'buffer'):
        value = content.get(key)
        if value is not None and not isinstance(value, list):
            raise DataError(
                f'`{key}` of {name!r} must be a list, but is {type(value).__name__}: '
                'the file is damaged.'
            )
        if key == 'classes':
            continue
        for index, one in enumerate(value or []):
            if not isinstance(one, dict):
                raise DataError(
                    f'`{key}[{index}]` of {name!r} must be a dict, but is {one!r}: '
                    'the file is damaged.'
                )


def _cell(raw: Mapping[str, Any], where: str) -> Cell:
    round_, domain = raw.get('round'), raw.get('domain')
    fits = isinstance(round_, int) and round_ >= 1 and isinstance(domain, str)
    if not fits:
        raise DataError(
            f'{where} must name its `round`, from 1 on, and its `domain`, but has '
            f'{round_!r} and {domain!r}: the file is damaged.'
        )
    figures = {
        key: _number(value)
        for key, value in raw.items()
        if key not in ('round', 'domain', 'IoU', 'loss')
    }
    miou = figures.get('mIoU')
    if miou is not None and not 0 <= miou <= 100:
        raise DataError(f'{where}: `mIoU` must be in percent, 0 to 100, but is {miou}.')
    groups = [raw.get(key) or {} for key in ('IoU', 'loss')]
    if not all(isinstance(group, dict) for group in groups):
        raise DataError(f'{where}: `IoU` and `loss` must be dicts.')
    ious, losses = ({k: _number(v) for k, v in group.items()} for group in groups)
    return Cell(int(round_ or 0), str(domain), figures, ious, losses)


def _prototypes(value: Any, name: str) -> Mapping[str, Any] | None:
    """Checks that the distances are a square matrix of their names."""
    if value is None:
        return None
    names = value.get('names') if isinstance(value, dict) else None
    rows = value.get('distances') if isinstance(value, dict) else None
    square = (
        isinstance(names, list)
        and isinstance(rows, list)
        and len(rows) == len(names)
        and all(isinstance(row, list) and len(row) == len(names) for row in rows)
        and all(_number(cell) is not None for row in rows for cell in row)
    )
    if not square:
        raise DataError(
            f'`prototypes` of {name!r} must have `names` and as many rows and columns '
            'of `distances`: the file is damaged.'
        )
    return dict(value) if names else None


def _number(value: Any) -> float | None:
    """Returns a finite number, ``None`` for everything else."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value) if math.isfinite(value) else None


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return math.fsum(there) / len(there) if there else None


def _complete_mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else _mean(values)


def _difference(last: float | None, first: float | None) -> float | None:
    return None if last is None or first is None else last - first


def _named(settings: Mapping[str, Any]) -> list[str]:
    order = settings.get('order')
    return [str(name) for name in order] if isinstance(order, (list, tuple)) else []


def _find_rate(value: Any) -> float | None:
    """Returns the first ``lr``, the outermost first."""
    if not isinstance(value, Mapping):
        return None
    if 'lr' in value:
        return _number(value['lr'])
    found = (_find_rate(inner) for inner in value.values())
    return next((rate for rate in found if rate is not None), None)
