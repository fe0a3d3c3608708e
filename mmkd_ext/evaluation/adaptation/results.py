"""The result file of an adaptation run, read and summed up.

A cell is one domain in one round. A cell that an interrupted run has not come to is
missing: it is in no mean, and nowhere taken for 0.
"""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame, Series

from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation.record import SCHEMA

__all__ = ['SCHEMA', 'AdaptResults', 'Place', 'finite', 'read_results']

Place = tuple[int, str]

_LISTS = ('source_eval', 'events', 'timeline', 'pictures', 'buffer')


@dataclass(frozen=True)
class AdaptResults:
    """One run: its settings, what came out cell by cell, and what happened.

    Args:
        settings: Of the run.
        classes: Their names.
        cells: A row a cell that is there, by round and domain; ``mIoU`` and
            ``IoU.<class>`` in percent, ``loss.<name>``, counts and costs.
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
    cells: DataFrame
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
        """The first ``lr`` in the optimizer's settings, the outermost first."""
        level = [self.settings.get('optimizer')]
        while level:
            dicts = [value for value in level if isinstance(value, Mapping)]
            rates = [value['lr'] for value in dicts if 'lr' in value]
            if rates:
                return finite(rates[0])
            level = [inner for value in dicts for inner in value.values()]
        return None

    @cached_property
    def domains(self) -> list[str]:
        """Each domain once, in the order of the stream."""
        order = self.settings.get('order')
        named = [str(n) for n in order] if isinstance(order, (list, tuple)) else []
        return list(dict.fromkeys([*named, *(d for _, d in self.cells.index)]))

    @cached_property
    def rounds(self) -> list[int]:
        """Their numbers, also those that the run has not come to."""
        last = max((r for r, _ in self.cells.index), default=0)
        return list(range(1, max(int(self.settings.get('rounds') or 0), last) + 1))

    @property
    def places(self) -> list[Place]:
        """Every cell that the run shall have, in the order of the stream."""
        return [(r, d) for r in self.rounds for d in self.domains]

    @property
    def missing(self) -> list[Place]:
        """The cells that it does not have."""
        there = set(self.cells.index)
        return [place for place in self.places if place not in there]

    @cached_property
    def miou(self) -> DataFrame:
        """The mIoU in percent, a row a round and a column a domain."""
        table = self.cells['mIoU'].unstack()
        return table.reindex(index=self.rounds, columns=self.domains)

    @property
    def round_means(self) -> Series[float]:
        """The mean over the domains by round, NaN unless all are there."""
        return self.miou.mean(axis=1, skipna=False)

    @property
    def domain_means(self) -> Series[float]:
        """The mean over the cells that are there, by domain."""
        return self.miou.mean()

    @property
    def mean(self) -> float | None:
        """The unweighted mean of the cells that are there."""
        return finite(self.cells['mIoU'].mean())

    @property
    def worst(self) -> Place | None:
        """The cell of the lowest mIoU; the earliest of several."""
        known = self.cells['mIoU'].dropna()
        return known.index.tolist()[known.argmin()] if len(known) else None

    @property
    def whole_rounds(self) -> list[int]:
        """The rounds of which every cell has a mIoU."""
        return self.round_means.dropna().index.tolist()

    @property
    def drift(self) -> float | None:
        """Mean of the last whole round minus that of the first round."""
        means = self.round_means.dropna()
        if len(means) < 2 or means.index[0] != 1:
            return None
        return finite(means.iloc[-1] - means.iloc[0])

    @property
    def forgetting(self) -> float | None:
        """The mIoU on the source's data at the end minus that before adaptation."""
        values = [finite(entry.get('mIoU')) for entry in self.source_eval]
        if len(values) < 2 or values[0] is None or values[-1] is None:
            return None
        return values[-1] - values[0]

    @property
    def figures(self) -> dict[str, float | None]:
        """Every figure of the whole run, ``None`` for what cannot be told."""
        counts = ('updates', 'skipped', 'resets')
        classes = ('predicted_classes', 'source_predicted_classes')
        means = (*classes, 'forwards', 'backwards')
        return {
            'mIoU': self.mean,
            'worst': finite(self.cells['mIoU'].min()),
            'last_minus_first': self.drift,
            'forgetting': self.forgetting,
            **{key: self.per_image(key) for key in means},
            **{key: self.total(key) for key in counts},
            'images_per_second': self.images_per_second(),
            'peak_memory_mb': self.peak('peak_memory_mb'),
        }

    def total(self, figure: str, round_: int | None = None) -> int | None:
        """Returns the sum of a count over the cells, of one round if asked for."""
        known = self._of(round_).get(figure, Series(dtype=float)).dropna()
        return round(known.sum()) if len(known) else None

    def per_image(self, figure: str, round_: int | None = None) -> float | None:
        """Returns the mean of a figure over the images of the cells."""
        cells = self._of(round_)
        if figure not in cells:
            return None
        known = cells.dropna(subset=[figure, 'images'])
        return finite((known[figure] * known['images']).sum(), known['images'].sum())

    def images_per_second(self, round_: int | None = None) -> float | None:
        """Returns all images over all the time that their adaptation took."""
        cells = self._of(round_)
        if 'images_per_second' not in cells:
            return None
        cells = cells[cells['images_per_second'] > 0]
        images = cells['images']
        return finite(images.sum(), (images / cells['images_per_second']).sum())

    def peak(self, figure: str, round_: int | None = None) -> float | None:
        """Returns the largest value of a figure."""
        return finite(self._of(round_).get(figure, Series(dtype=float)).max())

    def _of(self, round_: int | None) -> DataFrame:
        rounds = self.cells.index.get_level_values(0)
        return self.cells if round_ is None else self.cells[rounds == round_]

    @property
    def ious(self) -> DataFrame:
        """The IoU in percent, a row a cell and a column a class."""
        table = self.cells.reindex(columns=[f'IoU.{name}' for name in self.classes])
        return table.set_axis(self.classes, axis=1)


def finite(value: Any, divisor: float = 1.0) -> float | None:
    """Returns a finite number, over ``divisor``; ``None`` for everything else."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not divisor:
        return None
    return float(value) / divisor if math.isfinite(value) else None


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
    except OSError as error:
        raise DataError(
            f'{str(file)!r} cannot be read: {error.strerror}. An adaptation run writes '
            'it into its work directory after the first domain.'
        ) from error
    except ValueError as error:  # of JSON, or of the encoding
        raise DataError(
            f'{str(file)!r} is not JSON: {error}. It was cut off or is another file; '
            'a run that goes on (`--resume`) writes it anew.'
        ) from error
    schema = content.get('schema') if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise DataError(
            f'{str(file)!r} has schema {schema!r}, this version reads {SCHEMA}: it is '
            'no `results.json` of an adaptation, or of another version of MMKD-Ext.'
        )
    return _parse(content, str(file))


def _parse(content: Mapping[str, Any], name: str) -> AdaptResults:
    try:
        cells = _cells(content['cells'])
        prototypes = content.get('prototypes')
        if prototypes is not None:
            names = prototypes['names']
            DataFrame(prototypes['distances'], names, names, dtype=float)
        lists: dict[str, Any] = {
            key: [dict(one) for one in content.get(key) or ()] for key in _LISTS
        }
        results = AdaptResults(
            settings=dict(content['settings']),
            classes=[str(label) for label in content.get('classes') or ()],
            cells=cells,
            prototypes=prototypes if prototypes and prototypes['names'] else None,
            path=name,
            **{**lists, 'buffer': lists['buffer'] or None},
        )
        int(results.settings.get('rounds') or 0)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f'{name!r} is damaged: {type(error).__name__}: {error}. Run the adaptation '
            'again.'
        ) from error
    if not cells.index.is_unique:
        round_, domain = cells.index[cells.index.duplicated()][0]
        raise DataError(
            f'{name!r} has round {round_}, `{domain}` twice. Two runs wrote one file: '
            'give each its own `--work-dir`.'
        )
    return results


def _cells(raw: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Returns the cells as a frame, all of it numbers."""
    places = [(int(cell['round']), str(cell['domain'])) for cell in raw]
    index = pd.MultiIndex.from_arrays(
        [[r for r, _ in places], [d for _, d in places]], names=['round', 'domain']
    )
    flat = pd.json_normalize([dict(cell) for cell in raw])
    flat = flat.drop(columns=['round', 'domain', 'IoU', 'loss'], errors='ignore')
    numbers = flat.apply(pd.to_numeric, errors='coerce').astype(float)
    numbers = numbers.replace([math.inf, -math.inf], math.nan).set_axis(index, axis=0)
    for column in ('mIoU', 'images'):
        if column not in numbers:
            numbers[column] = math.nan
    if not numbers['mIoU'].dropna().between(0, 100).all():
        raise ValueError('a mIoU is no percentage')
    if any(round_ < 1 for round_, _ in places):
        raise ValueError('a round is below 1')
    return numbers
