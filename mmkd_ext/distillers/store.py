"""Stored teachers: what links tap of a teacher, kept in a folder of arrays.

A store holds one row for each augmentation of each picture (see
`mmkd_ext.datasets.augmentations.Augmentations`). The folder has

* ``manifest.json``: what the rows are, and what they were made from;
* ``<augmentation>-<part>.npy``: the rows of an augmentation, cut into parts of
  ``rows_per_shard``. Each is a plain NumPy file with a structured type: `check`, a
  CRC-32 of the row's other bytes; `picture`, one of the picture that the teacher saw;
  and the fields of each column, see `Column`. `check` and `picture` may be missing.

A row is one piece of bytes, so a sample costs one read however many taps there are; a
pass over the data reads the files of one augmentation only; and a file is there wholly
or not at all, since it is renamed when it is complete. Nothing but NumPy is needed to
read or write such a folder.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmkd_ext.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from mmkd_ext.distillers.links import Tap

__all__ = [
    'FORMATS',
    'MANIFEST',
    'VERSION',
    'Column',
    'TeacherStore',
    'check_format',
    'column_names',
    'read_manifest',
    'row_type',
    'shard_name',
    'tap_key',
]

MANIFEST, VERSION = 'manifest.json', 1
FORMATS = ('float32', 'float16', 'bfloat16', 'int8', 'topK')
_FLOATS = {'float32': '<f4', 'float16': '<f2', 'bfloat16': '<i2', 'int8': '|i1'}
#: Least probability of all classes together that are not among the first.
_LEAST = 1e-6
_OPEN_FILES = 256


def check_format(value: str) -> None:
    """Raises `ConfigError` unless a format is one of `FORMATS`, `K` being a number."""
    if value not in _FLOATS and not re.fullmatch(r'top[1-9]\d*', value):
        raise ConfigError(
            f'`format` must be one of {list(FORMATS)}, such as top5, but is {value!r}.'
        )


@dataclass(frozen=True)
class Column:
    """One tensor of each row.

    In ``float32`` the values are what the teacher gave. ``float16`` and ``bfloat16``
    round them. ``int8`` keeps 127 steps to either side of 0, with a scale for each
    channel of each row in ``<name>:scale``. ``top5`` keeps the log probabilities of the
    5 first classes (axis 0 of a row) in float16 and their indices in ``<name>:index``;
    the other classes share what is left evenly, the marginal smoothing of `FKD, ECCV
    2022 <https://arxiv.org/abs/2112.01528>`_. Other types, such as ``int64``, are kept.

    Args:
        name: Its field in the arrays.
        shape: Shape of one row.
        format: See above.
    """

    name: str
    shape: tuple[int, ...]
    format: str = 'float32'

    @property
    def top(self) -> int:
        """How many classes are kept; 0 where all are."""
        return int(self.format[3:]) if self.format.startswith('top') else 0

    def fields(self) -> list[tuple[str, str, tuple[int, ...]]]:
        """Returns name, NumPy type and shape of its fields."""
        if self.top:
            shape = (self.top, *self.shape[1:])
            index = np.min_scalar_type(self.shape[0] - 1).str
            return [(self.name, '<f2', shape), (f'{self.name}:index', index, shape)]
        kind = _FLOATS.get(self.format) or np.dtype(self.format).str
        fields = [(self.name, kind, self.shape)]
        if self.format == 'int8':
            fields.append((f'{self.name}:scale', '<f4', self._scales()))
        return fields

    def _scales(self) -> tuple[int, ...]:
        return self.shape[:1] if len(self.shape) > 1 else ()

    def encode(self, value: Tensor) -> list[Tensor]:
        """Returns the fields of rows ``(n ...)``."""
        if self.top:
            log_p = value.float().log_softmax(1)
            first, index = log_p.topk(self.top, dim=1)
            return [first.half(), index]
        if self.format == 'int8':
            flat = value.float().reshape(len(value), *self._scales(), -1)
            scale = flat.abs().amax(-1, keepdim=True) / 127
            # a channel of zeros has no scale
            steps = (flat / scale.clamp(min=torch.finfo(scale.dtype).tiny)).round()
            return [steps.to(torch.int8).view(value.shape), scale.squeeze(-1)]
        if self.format == 'bfloat16':
            return [value.bfloat16().view(torch.int16)]
        kept = value.to(getattr(torch, self.format))
        if not torch.equal(kept.isfinite(), value.isfinite()):
            raise DataError(
                f'`{self.name}` has values up to {float(value.abs().max()):.3g}, which '
                f'{self.format} cannot hold. Take another `--format`, such as bfloat16.'
            )
        return [kept]

    def decode(self, fields: Sequence[Tensor]) -> Tensor:
        """Returns the values ``(n ...)``; those of floats as float32."""
        first = fields[0]
        if self.top:
            known = first.float()
            left = (1 - known.exp().sum(1, keepdim=True)).clamp(min=_LEAST)
            others = max(self.shape[0] - self.top, 1)
            spread = (left / others).log()
            full = spread.expand(-1, self.shape[0], *spread.shape[2:])
            return full.scatter(1, fields[1].long(), known)
        if self.format == 'int8':
            scale = fields[1]
            return first.float() * scale.reshape(
                *scale.shape, *[1] * (first.dim() - scale.dim())
            )
        if self.format == 'bfloat16':
            return first.view(torch.bfloat16).float()
        return first.float() if first.is_floating_point() else first


def row_type(columns: Sequence[Column]) -> np.dtype:
    """Returns the NumPy type of a row."""
    fields = [field for column in columns for field in column.fields()]
    return np.dtype([('check', '<u4'), ('picture', '<u4'), *fields])


def tap_key(tap: Tap) -> str:
    """Names what is recorded for a tap, before any connector.

    It is the module's name; then ``call=...`` and ``item=...`` where these are given.
    """
    key = str(tap.source)
    if tap.call != 0:
        key += f' call={tap.call}'
    return key if tap.item is None else f'{key} item={tap.item}'


class TeacherStore:
    """Reads a store.

    The rows are mapped into memory, so processes on a machine share what was read.

    Args:
        folder: The folder.

    Raises:
        DataError: There is no store, it is not complete, or it cannot be read.

    Attributes:
        manifest: What ``manifest.json`` holds.
        samples: Number of pictures.
        augmentations: Number of augmentations of each.
        views: Number of views of an augmentation, 1 if not given.
        seed: What the augmentations are drawn with, 0 if not given.
        columns: The columns by name.
        input_size: Height and width of the pictures that the teacher saw.
    """

    def __init__(self, folder: str | Path) -> None:
        if not isinstance(folder, (str, Path)):
            raise DataError(f'A store is a folder, but {folder!r} is given.')
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        try:
            self.samples = int(self.manifest['samples'])
            self.augmentations = int(self.manifest.get('augmentations', 1))
            self.views = int(self.manifest.get('views', 1))
            self.seed = int(self.manifest.get('seed', 0))
            self.columns = {
                one['name']: Column(
                    one['name'], tuple(one['shape']), one.get('format', 'float32')
                )
                for one in self.manifest['columns']
            }
            height, width = self.manifest['input_size']
            self._teachers = dict(self.manifest['teachers'])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f'{self.folder / MANIFEST} cannot be read: {error!r}. See '
                'docs/howto/store.md for what it holds.'
            ) from error
        self.input_size: tuple[int, int] = (height, width)
        columns = self.columns.values()
        self._fields = {name for one in columns for name, *_ in one.fields()}
        self.rows = self.samples * self.views
        self.rows_per_shard = int(self.manifest.get('rows_per_shard', self.rows))
        missing = [path.name for path in self.shards() if not path.is_file()]
        if missing:
            raise DataError(
                f'The store {str(self.folder)!r} is not complete: {len(missing)} of '
                f'{len(self.shards())} files are missing, {missing[0]} first. Run '
                '`mmkd store` again, which goes on where it was.'
            )

    def shards(self) -> list[Path]:
        """Returns the files, in the order of their rows."""
        parts = math.ceil(self.rows / self.rows_per_shard)
        return [
            self.folder / shard_name(augmentation, part)
            for augmentation in range(self.augmentations)
            for part in range(parts)
        ]

    def _place(self, row: int) -> tuple[int, int, int]:
        """Returns augmentation, part, and place in the part."""
        augmentation, rest = divmod(row, self.rows)
        return (augmentation, *divmod(rest, self.rows_per_shard))

    def _open(self, augmentation: int, part: int) -> tuple[np.ndarray, np.dtype]:
        """Maps a file; returns its rows as bytes, and the type of a row."""
        path = self.folder / shard_name(augmentation, part)
        array = _map(path, path.stat().st_mtime_ns)
        count = min(self.rows_per_shard, self.rows - part * self.rows_per_shard)
        names = array.dtype.names or ()
        if array.shape != (count,) or not self._fields <= set(names):
            raise DataError(
                f'{_damaged(path)}: it has {array.shape} rows of {names}, but the '
                f'manifest says {count} of {sorted(self._fields)}. {_REMOVE}'
            )
        return array.view(np.uint8).reshape(count, -1), array.dtype

    def check(self, row: int, checksum: int) -> None:
        """Checks the bytes of a row, and that it is about a picture.

        Args:
            row: Number of the row.
            checksum: CRC-32 of the picture.

        Raises:
            DataError: The row is damaged, or the teacher saw another picture.
        """
        augmentation, part, place = self._place(row)
        raw, kind = self._open(augmentation, part)
        names = kind.names or ()
        values, rest = raw[place].view(kind)[0], raw[place, 4:].tobytes()
        if 'check' in names and zlib.crc32(rest) != int(values['check']):
            path = self.folder / shard_name(augmentation, part)
            raise DataError(f'{_damaged(path)}, in row {place}. {_REMOVE}')
        if 'picture' in names and checksum != int(values['picture']):
            index = row % self.rows // self.views
            raise DataError(
                f'Picture {index} in augmentation {augmentation} is not the one that '
                f'the teacher of {str(self.folder)!r} saw. The data, the pipeline or '
                'the versions of what it calls have changed, or a transform remembers '
                'earlier pictures. Undo that, or store the teacher anew.'
            )

    def read(self, rows: Sequence[int], names: Sequence[str]) -> dict[str, Tensor]:
        """Returns columns of a few rows.

        Args:
            rows: Numbers of the rows.
            names: Names of the columns.

        Returns:
            For each column the values ``(n ...)``, on the CPU.
        """
        places: dict[tuple[int, int], list[int]] = {}
        for number, row in enumerate(rows):
            if not 0 <= row < self.augmentations * self.rows:
                raise DataError(
                    f'The store {str(self.folder)!r} has {self.augmentations} x '
                    f'{self.rows} rows, but row {row} is asked for.'
                )
            places.setdefault(self._place(row)[:2], []).append(number)
        out: dict[str, Tensor] = {}
        gathered: np.ndarray | None = None
        for shard, numbers in places.items():
            raw, kind = self._open(*shard)
            if gathered is None:
                gathered = np.empty((len(rows), raw.shape[1]), np.uint8)
            gathered[numbers] = raw[[self._place(rows[n])[2] for n in numbers]]
        if gathered is None:
            return out
        values = gathered.view(kind)[:, 0]
        for name in names:
            column = self.columns[name]
            fields = [_tensor(values[field]) for field, *_ in column.fields()]
            out[name] = column.decode(fields)
        return out

    # ---- what was tapped ------------------------------------------------------------

    def tap(self, tap: Tap) -> dict[str, Any]:
        """Returns what the manifest says about a tap.

        Raises:
            DataError: The tap is not in the store.
        """
        taps = self._teachers.get(tap.of, {}).get('taps', {})
        key = tap_key(tap)
        if key in taps:
            entry: dict[str, Any] = taps[key]
            return entry
        known = {name: [*one.get('taps', {})] for name, one in self._teachers.items()}
        raise DataError(
            f'The store {str(self.folder)!r} has no {key!r} of `{tap.of}`; it has '
            f'{known}. Run `mmkd store` with these links.{did_you_mean(key, taps)}'
        )

    def fingerprint(self, tap: Tap) -> Tensor:
        """Returns that of the weights behind a tap; zeros where it is not known."""
        known = bytes.fromhex(self.tap(tap).get('weights', '00' * 16))
        return torch.tensor(list(known), dtype=torch.uint8)

    def values(self, taps: Sequence[Tap], rows: Sequence[int]) -> dict[str, Any]:
        """Returns the values of taps by `tap_key`, for a few rows."""
        entries = {tap_key(tap): self.tap(tap)['value'] for tap in taps}
        names = sorted({name for one in entries.values() for name in column_names(one)})
        columns = self.read(rows, names)
        return {key: _assemble(one, columns) for key, one in entries.items()}


_REMOVE = 'Remove the file and run `mmkd store` again, which makes what is missing.'


@lru_cache(_OPEN_FILES)
def _map(path: Path, changed: int) -> np.ndarray:
    """Maps a file into memory, once in a process unless the file has changed."""
    del changed
    try:
        return np.asarray(np.load(path, mmap_mode='r'))
    except (OSError, ValueError) as error:
        raise DataError(f'{_damaged(path)}: {error}. {_REMOVE}') from error


def _damaged(path: Path) -> str:
    return f'The file {str(path)!r} of a store is damaged'


def shard_name(augmentation: int, part: int) -> str:
    """Returns the name of a file."""
    return f'{augmentation:04d}-{part:04d}.npy'


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads the manifest of a store.

    Raises:
        DataError: There is none, or it is of another version.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise DataError(
            f'There is no store in {str(folder)!r} (no {MANIFEST}). Make it with '
            f'`mmkd store CONFIG --out {folder}`.'
        ) from error
    except ValueError as error:
        raise DataError(f'{str(path)!r} is no JSON: {error}.') from error
    if manifest.get('version') != VERSION:
        raise DataError(
            f'{str(path)!r} is of version {manifest.get("version")!r}, this package '
            f'reads {VERSION}. Store the teacher anew.'
        )
    return manifest


def _tensor(field: np.ndarray) -> Tensor:
    if field.dtype.kind == 'u' and field.dtype.itemsize > 1:
        field = field.astype(np.int64)  # torch hardly knows these
    return torch.from_numpy(np.ascontiguousarray(field))


def column_names(spec: Any) -> list[str]:
    """Returns the columns in what the manifest writes for a value."""
    if isinstance(spec, str):
        return [spec]
    parts = spec.values() if isinstance(spec, dict) else spec
    return [name for part in parts for name in column_names(part)]


def _assemble(spec: Any, columns: dict[str, Tensor]) -> Any:
    """Puts a value together: a column, a tuple for a list, or a dict."""
    if isinstance(spec, str):
        return columns[spec]
    if isinstance(spec, dict):
        return {key: _assemble(part, columns) for key, part in spec.items()}
    return tuple(_assemble(part, columns) for part in spec)
