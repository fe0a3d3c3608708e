"""A transform that adds weather, noise or blur to the images of any data set."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from pathlib import PurePath
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmkd_ext.datasets.corruptions import CORRUPTIONS, STRONGEST, chance
from mmkd_ext.errors import ConfigError, DataError, check_choice, check_range
from mmkd_ext.registry import TRANSFORMS

__all__ = ['Corrupt']


@TRANSFORMS.register_module()
class Corrupt(BaseTransform):
    """Lays a corruption over the picture, the same one whenever it is loaded.

    Chance comes from ``seed``, ``kind`` and the last two parts of the picture's path,
    from nothing else: the number of workers, the order, where the data lie, and where a
    stopped stream goes on make no difference. Labels stay as they are.

    Stands after ``LoadImageFromFile``. Several may follow each other.

    Args:
        kind: A key of `mmkd_ext.datasets.corruptions.CORRUPTIONS`: ``'fog'``,
            ``'rain'``, ``'snow'``, ``'night'``, ``'noise'`` or ``'blur'``.
        severity: 0 (nothing) to 5, any number between; or a ramp, pairs of a position
            in the data set (pictures, from 0) and a severity: ``[(0, 0), (200, 5),
            (400, 0)]`` comes and goes. Between pairs it is linear, before the first and
            after the last it stays.
        seed: Another one gives other drops and clouds.

    Required keys: ``img`` (``uint8``, blue, green, red), ``img_path``, and for a ramp
    ``sample_idx``, which every data set of mmengine sets.

    Raises:
        ConfigError: An unknown kind, a severity out of range, or a ramp that does not
            go forward.
        DataError: A picture that is not ``uint8`` with three channels, or one whose
            position a ramp needs and nobody set.

    Examples:
        >>> import numpy as np
        >>> picture = np.full((32, 64, 3), 128, np.uint8)
        >>> fog = Corrupt('fog', severity=[(0, 0), (100, 5)])
        >>> [fog.severity_at(index) for index in (0, 50, 400)]
        [0.0, 2.5, 5.0]
        >>> first = dict(img=picture, img_path='drive/1.png', sample_idx=0)
        >>> bool((fog(first)['img'] == picture).all())
        True
    """

    def __init__(
        self,
        kind: str,
        severity: float | Sequence[Sequence[float]] = 3.0,
        seed: int = 0,
    ) -> None:
        check_choice('kind', kind, tuple(CORRUPTIONS))
        self.kind, self.seed = kind, seed
        self.severity = severity
        self.constant = isinstance(severity, Real)
        self._ramp = _ramp(severity)

    def severity_at(self, position: int) -> float:
        """Returns the severity of the picture at a position in the data set."""
        positions, severities = self._ramp
        return float(np.interp(position, positions, severities))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Returns ``results`` with another ``img``."""
        image = results['img']
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(
                f'Corrupt: `{results.get("img_path")}` is {image.dtype} of shape '
                f'{image.shape}; `uint8` with 3 channels is needed. Put it after '
                f'`LoadImageFromFile`, before anything that normalises.'
            )
        severity = self.severity_at(self._position(results))
        if severity > 0:
            light = np.ascontiguousarray(image[..., ::-1], dtype=np.float32)
            light = CORRUPTIONS[self.kind](
                light,
                severity / STRONGEST,
                chance(self.seed, self.kind),
                chance(self.seed, self.kind, _name(results)),
            )
            light = np.clip(np.rint(light), 0, 255).astype(np.uint8)
            results['img'] = np.ascontiguousarray(light[..., ::-1])
        return results

    def _position(self, results: dict[str, Any]) -> int:
        if self.constant:
            return 0
        if 'sample_idx' not in results:
            raise DataError(
                f'Corrupt: the ramp of {self.kind!r} needs `sample_idx`, the position '
                f'in the data set, and the pipeline got none. Load through a data set '
                f'of mmengine, or give one number as `severity`.'
            )
        return int(results['sample_idx'])

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(kind={self.kind!r}, severity={self.severity!r}, '
            f'seed={self.seed})'
        )


def _ramp(
    severity: float | Sequence[Sequence[float]],
) -> tuple[list[float], list[float]]:
    """Returns positions and severities, checked."""
    pairs: Any = [(0, severity)] if isinstance(severity, Real) else severity
    try:
        ramp = [(float(position), float(value)) for position, value in pairs]
    except (TypeError, ValueError):
        ramp = []
    if not ramp:
        raise ConfigError(
            f'Corrupt: `severity` is {severity!r}; give a number, or pairs of position '
            f'and severity such as [(0, 0), (200, 5)].'
        )
    positions, severities = [pair[0] for pair in ramp], [pair[1] for pair in ramp]
    for value in severities:
        check_range('severity', value, ge=0, le=STRONGEST)
    if any(later <= earlier for earlier, later in zip(positions, positions[1:])):
        raise ConfigError(
            f'Corrupt: positions of the ramp {severity!r} must grow; they are '
            f'{positions}.'
        )
    return positions, severities


def _name(results: dict[str, Any]) -> str:
    """Returns what names the picture wherever the data lie."""
    return '/'.join(PurePath(results['img_path']).parts[-2:])
