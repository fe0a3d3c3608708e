"""The data of a stream: one domain at a time, each image with a seed of its own."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from mmengine.registry import FUNCTIONS
from torch.utils.data import DataLoader

from mmkd_ext.adaptation.domains import build_dataset
from mmkd_ext.errors import ConfigError, check_keys
from mmkd_ext.random_state import derive_seed, preserve_random_state, seed_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mmengine.evaluator import Evaluator

    from mmkd_ext.adaptation.domains import DomainConfig

__all__ = ['BadFile', 'Domain', 'ReadResult']


@dataclass(frozen=True)
class BadFile:
    """An image that could not be loaded, and why."""

    index: int
    reason: str


class ReadResult(NamedTuple):
    """A batch as it was read: the images, None for no good one, and the bad files."""

    data: Any
    bad_files: list[BadFile]


@dataclass
class _SeededDataset:
    """A dataset whose items depend on their place in the stream alone."""

    dataset: Any
    place: tuple[int | str, ...]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        with preserve_random_state():
            seed_all(derive_seed(*self.place, index), devices=False)
            try:
                return self.dataset[index]
            except Exception as error:
                # a broken file may raise anything, depending on who decodes it
                reason = f'{type(error).__name__}: {error}'
                return BadFile(index, reason.splitlines()[0])


def _collate(function: Callable[[list[Any]], Any], items: list[Any]) -> ReadResult:
    good = [item for item in items if not isinstance(item, BadFile)]
    bad = [item for item in items if isinstance(item, BadFile)]
    return ReadResult(function(good) if good else None, bad)


class Domain:
    """One domain of a stream: its dataset, and how to read it from any batch on.

    Args:
        config: Its config.

    Raises:
        ConfigError: The dataloader has a setting that a stream cannot follow.
        DataError: The dataset is missing or empty.
    """

    def __init__(self, config: DomainConfig) -> None:
        self.name = config.name
        self.dataset = build_dataset(config)
        meta = getattr(self.dataset, 'metainfo', None)
        self.metainfo: dict[str, Any] = dict(meta or {})
        #: Its metrics, which the loop builds.
        self.evaluator: Evaluator | None = None
        loader = {k: v for k, v in config.dataloader.items() if k != 'dataset'}
        self._shuffle = _is_shuffled(loader.pop('sampler', None), config.name)
        self._batch_size = int(loader.pop('batch_size', 1))
        for key in ('batch_sampler', 'drop_last'):
            if loader.pop(key, None):
                raise ConfigError(
                    f'Domain `{config.name}`: `dataloader.{key}` would change which '
                    'images the stream has. Remove it.'
                )
        collate = loader.pop('collate_fn', None) or {'type': 'pseudo_collate'}
        if not callable(collate):
            kind = collate['type']
            collate = FUNCTIONS.get(kind) if isinstance(kind, str) else kind
        loader.pop('num_batch_per_epoch', None)
        # a visit makes its loader anew, so its workers cannot outlive it
        loader.pop('persistent_workers', None)
        if not loader.get('num_workers'):
            loader.pop('prefetch_factor', None)
        known = [*inspect.signature(DataLoader.__init__).parameters][1:]
        check_keys(f'Domain {config.name!r}: dataloader', loader, known)
        self._loader = {**loader, 'collate_fn': partial(_collate, collate)}

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.dataset) // self._batch_size)

    def check_classes(self, count: int) -> None:
        """Raises `ConfigError` if the dataset has another number of classes."""
        classes = self.metainfo.get('classes')
        if classes is not None and len(classes) != count:
            raise ConfigError(
                f'Domain `{self.name}` has {len(classes)} classes, but the model '
                f'predicts {count}. Use the dataset that the source was trained for, '
                'or a `metainfo` with the same classes.'
            )

    def read(self, seed: int, round_: int, start: int = 0) -> Iterator[ReadResult]:
        """Yields the batches of a round from one on.

        Args:
            seed: Seed of the stream.
            round_: The round, which seeds shuffling and random transforms too.
            start: First batch.
        """
        place = (seed, 'stream', round_, self.name)
        indices = list(range(len(self.dataset)))
        if self._shuffle:
            own = torch.Generator().manual_seed(derive_seed(*place, 'order'))
            indices = torch.randperm(len(indices), generator=own).tolist()
        size = self._batch_size
        batches = [indices[i : i + size] for i in range(0, len(indices), size)]
        # mmengine's builder would copy the dataset, once a round
        loader: DataLoader[Any] = DataLoader(
            _SeededDataset(self.dataset, place),  # type: ignore[arg-type]
            batch_sampler=batches[start:],
            **self._loader,
        )
        # an iterator draws a seed for its workers, even where there are none
        with preserve_random_state():
            iterator = iter(loader)
        yield from iterator


def _is_shuffled(sampler: Any, name: str) -> bool:
    """Returns whether a sampler shuffles; the stream does it instead of the sampler."""
    if sampler is None:
        return False
    kind = str(sampler.get('type', '')) if isinstance(sampler, dict) else repr(sampler)
    if kind.split('.')[-1] != 'DefaultSampler':
        raise ConfigError(
            f'Domain `{name}`: `dataloader.sampler` is {kind}, but a stream shows each '
            "image once a round: use dict(type='DefaultSampler', shuffle=False)."
        )
    return bool(sampler.get('shuffle', True))
