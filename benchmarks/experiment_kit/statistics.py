"""Mean and standard deviation over seeds, and whether a difference is a gain."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mmkd_ext.errors import ShapeError

__all__ = ['gain_text', 'interval', 'summary', 'summary_text', 'verdict']


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Returns mean, standard deviation (n - 1) and values, rounded, for a JSON file.

    Args:
        values: One a seed; the deviation of a single one is ``None``.

    Raises:
        ShapeError: There is no value.

    Examples:
        >>> summary([1.0, 2.0, 3.0])
        {'mean': 2.0, 'std': 1.0, 'values': [1.0, 2.0, 3.0]}
    """
    if not values:
        raise ShapeError('Mean and deviation of no values: give at least one.')
    return {
        'mean': round(statistics.fmean(values), 2),
        'std': round(statistics.stdev(values), 2) if len(values) > 1 else None,
        'values': [round(value, 2) for value in values],
    }


def interval(values: Sequence[float]) -> list[float] | None:
    """Returns the 95 % confidence interval of the mean, Student's t; ``None`` of one.

    With three seeds it is 2.5 times as wide as the standard deviation.

    Examples:
        >>> interval([1.0, 2.0, 3.0])
        [-0.48, 4.48]
    """
    from scipy import stats

    if len(values) < 2:
        return None
    error = statistics.stdev(values) / len(values) ** 0.5
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    mean = statistics.fmean(values)
    return [round(mean - half, 2), round(mean + half, 2)]


def verdict(gain: Mapping[str, Any], plain: Mapping[str, Any]) -> str:
    """Returns ``'gain'``, ``'loss'``, ``'none'``, or ``'unknown'`` with one seed.

    A difference counts only when it is larger than both deviations, that of the
    differences and that of the plain runs: a difference that another seed makes as
    well is no gain.

    Args:
        gain: :func:`summary` of the differences, seed by seed.
        plain: :func:`summary` of what the gain is over.
    """
    if gain['std'] is None:
        return 'unknown'
    if abs(gain['mean']) <= max(gain['std'], plain['std'] or 0.0):
        return 'none'
    return 'gain' if gain['mean'] > 0 else 'loss'


def summary_text(of: Mapping[str, Any], *, sign: bool = False, digits: int = 2) -> str:
    """Returns a :func:`summary` as tables show it, ``mean ± deviation``."""
    mean = format(of['mean'], f'{"+" if sign else ""}.{digits}f')
    return mean if of['std'] is None else f'{mean} ± {of["std"]:.{digits}f}'


def gain_text(gain: Mapping[str, Any]) -> str:
    """Returns a gain with its ``verdict`` as tables show it."""
    text = summary_text(gain, sign=True)
    return f'none ({text})' if gain.get('verdict') == 'none' else text
