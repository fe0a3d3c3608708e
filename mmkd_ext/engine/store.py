"""Storing what links tap of their teachers, and telling what a store was made from."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from mmkd_ext.algorithms.sources import model_config
from mmkd_ext.algorithms.teacher_distill import TeacherDistill, read_teachers
from mmkd_ext.datasets.augmentations import CHECKSUM, Augmentations, rows_of
from mmkd_ext.distillers.link_distiller import is_classifier
from mmkd_ext.distillers.links import STUDENT
from mmkd_ext.distillers.store import (
    MANIFEST,
    VERSION,
    Column,
    TeacherStore,
    check_format,
    column_names,
    read_manifest,
    row_type,
    shard_name,
    tap_key,
)
from mmkd_ext.errors import ConfigError, DataError, check_integer
from mmkd_ext.files import atomic_write, remove_leftovers, write_json
from mmkd_ext.methods._identity import fingerprint
from mmkd_ext.registry import type_name

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import Tensor

__all__ = ['StoreWriter', 'check_origin', 'origin', 'without_stores']

SHARD_BYTES = 64 * 2**20
GB = 1e9
_JSON = (bool, int, float, str, type(None))
#: Keys of a data set that say where its files are; each picture has its checksum.
_PLACES = ('data_root', 'ann_file', 'data_prefix', 'backend_args', 'metainfo')
_SEEN = ('preprocess', 'input')
_WHAT = {
    'pipeline': 'the pictures are augmented in another way',
    'preprocess': 'the batch is normalised or padded in another way',
    'teachers': 'the teacher is another one',
}


# ---- what a store was made from -----------------------------------------------------


def without_stores(cfg: Config) -> Config:
    """Takes the stores out of a config, so that its teachers are built and run."""
    model = cfg.get('model') or {}
    model.pop('teacher_store', None)
    for one in (model.get('teachers') or {}).values():
        one.pop('store', None)
    return cfg


def origin(cfg: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """Returns what stored values depend on besides the pictures, as JSON.

    Args:
        cfg: Config of the training.
        model: The distillation; its preprocessor is looked at.

    Returns:
        The data set's config without places, and the preprocessor's settings; for each
        teacher its precision and digests of its config and its checkpoint. None where
        something cannot be told.
    """
    loader, config = cfg.get('train_dataloader'), cfg.get('model') or {}
    keys = ('teacher', 'teacher_ckpt', 'teachers', 'teacher_store')
    sources, _ = read_teachers(*map(config.get, keys))
    teachers = {}
    for name, source in sources.items():
        own, ckpt = source.config, source.config.get('ckpt')
        built = None
        if own.get('model') is not None and not isinstance(own['model'], nn.Module):
            built = json.dumps(_plain(model_config(own['model'], source.path)))
        teachers[name] = {
            'model': built and _digest(built.encode()),
            'ckpt': ckpt
            if ckpt is None or '://' in ckpt
            else _digest(Path(ckpt).read_bytes())
            if os.path.isfile(ckpt)
            else None,
            'precision': own.get('precision', config.get('teacher_precision')),
            # what it sees, where that is not what its preprocessor makes of the batch
            **{key: _plain(own[key]) for key in _SEEN if own.get(key) is not None},
        }
    data = loader.get('dataset') if isinstance(loader, Mapping) else None
    return {
        'pipeline': _plain(data),
        'preprocess': _settings(getattr(model, 'data_preprocessor', None)),
        'teachers': teachers,
    }


def check_origin(
    store: TeacherStore, cfg: Mapping[str, Any], model: nn.Module, dataset: Any
) -> None:
    """Checks that a store was made from the data and the teacher of a training.

    Raises:
        ConfigError: It was not; says what differs.
    """
    if len(dataset) != store.samples:
        raise ConfigError(
            f'The store {str(store.folder)!r} is about {store.samples} pictures, but '
            f'the training set has {len(dataset)}.'
        )
    if store.manifest.get('origin'):
        _compare(store.folder, store.manifest['origin'], origin(cfg, model))


def _compare(folder: Path, stored: Any, now: Any) -> None:
    for key, what in _WHAT.items():
        differs = _difference(stored.get(key), now.get(key), key)
        if differs:
            raise ConfigError(
                f'The store {str(folder)!r} does not belong to this config: {what}. '
                f'{differs} Undo the change, or store the teacher into another folder.'
            )


def _difference(stored: Any, now: Any, path: str) -> str:
    """Returns the first place where two values differ; what is None is not known."""
    if stored is None or now is None or stored == now:
        return ''
    both = [stored, now]
    if all(isinstance(one, list) for one in both) and len(stored) == len(now):
        both = [dict(enumerate(one)) for one in both]
    if not all(isinstance(one, dict) for one in both):
        return f'`{path}` was {stored!r} and is {now!r}.'
    found = (
        _difference(old.get(key, 'nothing'), new.get(key, 'nothing'), f'{path}.{key}')
        for old, new in [both]
        for key in {**old, **new}
    )
    return next(filter(None, found), '')


def _plain(config: Any) -> Any:
    """Returns a config as JSON, without the keys that say where files are."""
    if isinstance(config, Mapping):
        return {k: _plain(v) for k, v in config.items() if k not in _PLACES}
    if isinstance(config, (list, tuple)):
        return [_plain(part) for part in config]
    return config if isinstance(config, _JSON) else type_name(config)


def _settings(preprocessor: Any) -> dict[str, Any] | None:
    """Returns the plain attributes of a preprocessor, and its statistics."""
    if preprocessor is None:
        return None
    kinds, changing = (*_JSON, list, tuple), ('training', '_is_init')
    found = {k: v for k, v in vars(preprocessor).items() if isinstance(v, kinds)}
    found.update({k: v.tolist() for k, v in preprocessor.named_buffers()})
    kept = {k: _plain(v) for k, v in found.items() if k not in changing}
    return {'type': type(preprocessor).__name__, **kept}


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


# ---- writing ------------------------------------------------------------------------


class StoreWriter:
    """Runs the teachers of a distillation on its training data and writes a store.

    The teacher sees batches of the training's size, in the order of the data set. A
    teacher in eval mode makes of each picture the same, whatever is beside it.

    Args:
        cfg: Config of the training, without stores.
        model: The distillation that it builds, with the weights of its teachers.
        loader: The training's dataloader.
        folder: Where to; one that was begun from the same is gone on with, and one with
            fewer augmentations gets more.
        augmentations: How many augmentations of each picture.
        seed: What they are drawn with.
        format: Of floating-point values, see `Column`. With ``topK`` predictions of
            classes are stored so, other values in float16.

    Raises:
        ConfigError: Something cannot be stored exactly, or there is another store.

    Attributes:
        size: Bytes of the whole store.
        missing: Augmentation and part of each file that is to be written.
        left: Rows of these.
    """

    def __init__(
        self,
        cfg: Config,
        model: TeacherDistill,
        loader: DataLoader[Any],
        folder: str | Path,
        *,
        augmentations: int,
        seed: int = 0,
        format: str = 'float32',
    ) -> None:
        check_integer('epochs', augmentations, ge=1)
        check_format(format)
        self.model, self.loader, self.folder = model.eval(), loader, Path(folder)
        self.format = format
        _refuse(model, loader)
        self.dataset = Augmentations(loader.dataset, augmentations, seed)
        self.batch = loader.batch_size or len(next(iter(loader.batch_sampler)))  # type: ignore[arg-type]
        _refuse_memory(self.dataset)
        first = self._numbers(0, 0, len(self.dataset))
        data = self._preprocess(next(iter(self._loader([first]))))
        self.input_size = tuple(data['inputs'].shape[2:])
        self.views = len(data['data_samples']) // self.batch
        self.columns: list[Column] = []
        teachers = self._plan(data)
        self.type = row_type(self.columns)
        self.rows = len(self.dataset) * self.views
        rows = self.batch * self.views
        batches = max(SHARD_BYTES // self.type.itemsize // rows, 1)
        self.rows_per_shard = min(batches * rows, self.rows)
        self.size = self.type.itemsize * self.rows * augmentations
        self.manifest = {
            'version': VERSION,
            'samples': len(self.dataset),
            'augmentations': augmentations,
            'views': self.views,
            'seed': seed,
            'rows_per_shard': self.rows_per_shard,
            'input_size': list(self.input_size),
            'columns': [
                {'name': one.name, 'shape': list(one.shape), 'format': one.format}
                for one in self.columns
            ],
            'teachers': teachers,
            'origin': origin(cfg, model),
        }
        self._go_on()
        parts = -(-self.rows // self.rows_per_shard)
        missing = [
            (augmentation, part)
            for augmentation in range(augmentations)
            for part in range(parts)
            if not (self.folder / shard_name(augmentation, part)).is_file()
        ]
        self.missing = missing
        self.left = sum(self._count(part) for _, part in missing)

    def _go_on(self) -> None:
        """Checks that what is in the folder is the beginning of this store."""
        if not (self.folder / MANIFEST).is_file():
            return
        known, now = read_manifest(self.folder), self.manifest
        _compare(self.folder, known.get('origin', {}), now['origin'])
        for key in now:
            if key not in ('augmentations', 'origin') and known.get(key) != now[key]:
                differs = _difference(known.get(key, 'nothing'), now[key], key)
                raise ConfigError(
                    f'{str(self.folder)!r} holds another store: {differs} Choose '
                    'another `--out`, or remove the folder.'
                )
        more = max(known.get('augmentations', 1), self.dataset.count)
        self.manifest['augmentations'] = more

    def _count(self, part: int) -> int:
        """Returns the number of rows of a file."""
        return min(self.rows_per_shard, self.rows - part * self.rows_per_shard)

    def check_space(self, max_gb: float) -> None:
        """Raises `ConfigError` if the store is larger than what is allowed or free."""
        folder = self.folder.absolute()
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        limits = {
            f'`--max-gb` is {max_gb:g}': self.size <= max_gb * GB,
            f'the disk has {free / GB:.1f} GB left': self.type.itemsize * self.left
            <= free,
        }
        for limit in (limit for limit, kept in limits.items() if not kept):
            raise ConfigError(
                f'The store would have {self.size / GB:.3g} GB, '
                f'{self.type.itemsize * self.rows / GB:.3g} GB for each augmentation, '
                f'but {limit}. Take fewer `--epochs`, a smaller `--format` such as '
                'float16 or top5, or store logits instead of features.'
            )

    def write(self) -> Iterator[int]:
        """Writes what is missing; yields the number of rows after each batch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        write_json(self.folder / MANIFEST, self.manifest)
        shards = self.missing
        plan = [list(self._batches(*shard)) for shard in shards]
        batches = iter(self._loader(list(chain(*plan))))
        for (augmentation, part), numbers in zip(shards, plan):
            begin = augmentation * self.rows + part * self.rows_per_shard
            count = self._count(part)
            shard = np.zeros(count, self.type)
            for _ in numbers:
                yield self._fill(shard, begin, next(batches))
            raw = shard.view(np.uint8).reshape(count, -1)
            shard['check'] = [zlib.crc32(row) for row in raw[:, 4:]]
            np.save(buffer := io.BytesIO(), shard)
            path = self.folder / shard_name(augmentation, part)
            atomic_write(path, buffer.getvalue())

    def _fill(self, shard: np.ndarray, begin: int, data: Any) -> int:
        """Runs a batch and puts its rows into a shard; returns how many."""
        smallest = self._smallest(data)
        data = self._preprocess(data)
        for size in (smallest, tuple(data['inputs'].shape[2:])):
            if size != self.input_size:
                raise DataError(
                    f'A picture is {size[0]} x {size[1]} large, another one '
                    f'{self.input_size}: what a teacher makes of it depends on how far '
                    'those beside it make it padded, so it cannot be stored. Let the '
                    'pipeline or the preprocessor (`size`) bring all to one size.'
                )
        values, _ = self._run(data)
        rows = [row - begin for row in rows_of(data['data_samples'])]
        shard['picture'][rows] = [
            sample.metainfo[CHECKSUM] for sample in data['data_samples']
        ]
        for column in self.columns:
            value = values[column.name]
            if tuple(value.shape[1:]) != column.shape:
                raise DataError(
                    f'`{column.name}` has a shape of {tuple(value.shape[1:])} in one '
                    f'batch and of {column.shape} in another, so it cannot be stored.'
                )
            for (name, *_), field in zip(column.fields(), column.encode(value)):
                shard[name][rows] = field.cpu().numpy()
        return len(set(rows))

    # ---- one batch ------------------------------------------------------------------

    def _numbers(self, augmentation: int, start: int, stop: int) -> list[int]:
        """Returns the items of a batch; one that is too short repeats its last."""
        items = [min(start + i, stop - 1) for i in range(self.batch)]
        return [augmentation * len(self.dataset) + i for i in items]

    def _batches(self, augmentation: int, part: int) -> Iterator[list[int]]:
        """Returns the items of the batches of a file."""
        pictures = self.rows_per_shard // self.views
        stop = min((part + 1) * pictures, len(self.dataset))
        for start in range(part * pictures, stop, self.batch):
            yield self._numbers(augmentation, start, stop)

    def _loader(self, batches: list[list[int]]) -> DataLoader[Any]:
        workers = self.loader.num_workers if len(batches) > 1 else 0
        return DataLoader(
            self.dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=self.loader.collate_fn,
            worker_init_fn=self.loader.worker_init_fn,
        )

    def _smallest(self, data: Any) -> tuple[int, ...]:
        """Returns the size of the smallest picture when no other is beside it."""
        inputs = data['inputs']
        if isinstance(inputs, torch.Tensor) or len({x.shape for x in inputs}) == 1:
            return self.input_size
        at = min(range(len(inputs)), key=lambda i: inputs[i].numel())
        samples = copy.deepcopy(data['data_samples'][at : at + 1])
        alone = {'inputs': inputs[at : at + 1], 'data_samples': samples}
        return tuple(self._preprocess(alone)['inputs'].shape[2:])

    def _preprocess(self, data: Any) -> dict[str, Any]:
        """Returns the batch as a training step sees it."""
        with torch.no_grad():
            return dict(self.model.data_preprocessor(data, True))

    def _run(self, data: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Runs the teachers.

        Returns:
            The values of all columns; by teacher and tap, what the manifest writes.
        """
        values: dict[str, Tensor] = {}
        taps: dict[str, Any] = {}
        for name, recorder in self.model.distiller.recorders.items():
            if name != STUDENT:
                teacher = self.model.teachers[name]
                teacher.run(recorder, data['inputs'], data['data_samples'])
                taps[name] = {
                    key: _flatten(recorder.value(tap), f'{name}.{key}', values)
                    for tap in recorder.taps
                    for key in [tap_key(tap)]
                }
                recorder.clear()
        return values, taps

    def _plan(self, data: dict[str, Any]) -> dict[str, Any]:
        """Makes the columns; returns what the manifest says about the teachers."""
        count = len(data['data_samples'])
        values, specs = self._run(data)
        classes: set[str] = set()
        teachers: dict[str, Any] = {name: {'taps': {}} for name in specs}
        for name, taps in teachers.items():
            model: Any = self.model.models[name]
            for tap in self.model.distiller.recorders[name].taps:
                key = tap_key(tap)
                yields = is_classifier(model, tap)
                classes |= {*column_names(specs[name][key])} if yields else set()
                weights = bytes(fingerprint(model, tap.source.name).tolist()).hex()
                entry = {'value': specs[name][key], 'classes': yields}
                taps['taps'][key] = {**entry, 'weights': weights}
        for key, value in values.items():
            if value.dim() < 1 or len(value) != count:
                raise ConfigError(
                    f'`{key}` has {tuple(value.shape)} for {count} pictures: only what '
                    'has a row for each picture can be stored.'
                )
            form = self._format_of(key, value, classes)
            self.columns.append(Column(key, tuple(value.shape[1:]), form))
        return teachers

    def _format_of(self, key: str, value: Tensor, classes: set[str]) -> str:
        if not value.is_floating_point():
            return str(value.dtype).split('.')[-1]
        if not self.format.startswith('top'):
            return self.format
        wide = value.dim() > 1 and value.shape[1] > int(self.format[3:])
        return self.format if key in classes and wide else 'float16'


def _flatten(value: Any, key: str, into: dict[str, Tensor]) -> Any:
    """Puts the tensors of a value into a dict; returns what the manifest writes."""
    if isinstance(value, torch.Tensor):
        into[key] = value
        return key
    if isinstance(value, Mapping):
        return {k: _flatten(part, f'{key}.{k}', into) for k, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_flatten(part, f'{key}.{i}', into) for i, part in enumerate(value)]
    raise ConfigError(
        f'`{key}` gives a {type(value).__name__}, and only tensors can be stored. A '
        'link that needs a module of the teacher needs the teacher.'
    )


def _refuse(model: TeacherDistill, loader: DataLoader[Any]) -> None:
    """Raises where what the teacher sees is not a function of the sample."""
    if isinstance(loader.dataset, IterableDataset):
        raise ConfigError('A data set without indices has no pictures to tell apart.')
    if any(teacher.learns for teacher in model.teachers.values()):
        raise ConfigError('A teacher that is trained says another thing every time.')
    if model.distiller.deliveries is not None:
        raise ConfigError("Deliveries hand over what happens in a teacher's pass.")
    if not model.distiller.teachers:
        raise ConfigError('No link taps a teacher, so there is nothing to store.')
    augments: Any = getattr(model.data_preprocessor, 'batch_augments', None)
    augments = getattr(augments, 'augments', augments)
    kinds = [type(one).__name__ for one in augments or ()]
    if set(kinds) - {'BatchFixedSizePad'}:
        raise ConfigError(
            f'`data_preprocessor.batch_augments` has {kinds}, which mix or resize the '
            'pictures of a batch: what the teacher sees depends on those beside it.'
        )


def _refuse_memory(dataset: Augmentations) -> None:
    """Raises where a picture depends on those that were loaded before it."""

    def checksums(number: int) -> list[int]:
        item = dataset[number]
        views = item if isinstance(item, list) else [item]
        return [view['data_samples'].metainfo[CHECKSUM] for view in views]

    last = len(dataset) - 1
    first = [checksums(number) for number in (0, last)]
    if first != [checksums(last), checksums(0)][::-1]:
        raise ConfigError(
            'The same augmentation of a picture comes out another when it is loaded '
            'again: a transform remembers earlier pictures (as CachedMosaic and '
            'CachedMixUp do), or draws from a generator of its own. Use those that '
            'depend on the global random numbers alone (Mosaic, MixUp).'
        )
