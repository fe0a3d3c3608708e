"""The images of a stream: one domain at a time, each image from a seed of its own."""

from __future__ import annotations

import inspect
import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from mmengine.registry import FUNCTIONS
from torch.utils.data import DataLoader

from mmkd_ext.adaptation.domains import build_dataset
from mmkd_ext.engine.hooks.reproducible import derive_seed, seed_all
from mmkd_ext.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mmkd_ext.adaptation.domains import DomainConfig

__all__ = ['Delivery', 'Domain', 'Unreadable', 'build_domain', 'undisturbed']


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leaves the random numbers of python, numpy and torch (CPU) as they were."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be loaded, and why."""

    index: int
    reason: str


class Delivery(NamedTuple):
    """What a loader gives: a batch, or None if nothing of it could be loaded."""

    data: Any
    unreadable: list[Unreadable]


@dataclass
class _StreamDataset:
    """A dataset whose items depend on their place in the stream alone.

    An item that cannot be loaded is delivered as `Unreadable`.
    """

    dataset: Any
    place: tuple[int | str, ...]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        with undisturbed():
            seed_all(derive_seed(*self.place, index), devices=False)
            try:
                return self.dataset[index]
            except Exception as error:
                # a broken file may raise anything, depending on who decodes it
                reason = f'{type(error).__name__}: {error}'
                return Unreadable(index, reason.splitlines()[0])


@dataclass
class _Collate:
    """Collates what could be loaded."""

    inner: Callable[[list[Any]], Any]

    def __call__(self, items: list[Any]) -> Delivery:
        bad = [item for item in items if isinstance(item, Unreadable)]
        good = [item for item in items if not isinstance(item, Unreadable)]
        return Delivery(self.inner(good) if good else None, bad)


class Domain:
    """One domain, ready to be read from any image on.

    Args:
        config: Its config.
        dataset: Its dataset.
    """

    def __init__(self, config: DomainConfig, dataset: Any) -> None:
        self.name = config.name
        self.dataset = dataset
        self.evaluator = config.evaluator
        self.metainfo: dict[str, Any] = dict(getattr(dataset, 'metainfo', None) or {})
        loader = dict(config.dataloader)
        loader.pop('dataset')
        self.shuffle = _shuffle(loader.pop('sampler', None), config.name)
        self.batch_size = int(loader.pop('batch_size', 1))
        for key in ('batch_sampler', 'drop_last'):
            if loader.pop(key, None):
                raise ConfigError(
                    f'Domain `{config.name}`: `dataloader.{key}` would change which '
                    'images the stream has. Remove it.'
                )
        collate = loader.pop('collate_fn', None) or {'type': 'pseudo_collate'}
        self._collate = _Collate(_collate_of(collate))
        loader.pop('num_batch_per_epoch', None)
        # workers are gone when the domain ends
        loader.pop('persistent_workers', None)
        if not loader.get('num_workers'):
            loader.pop('prefetch_factor', None)
        _check_loader(loader, config.name)
        self._loader = loader

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.dataset) // self.batch_size)

    def read(self, seed: int, round_: int, start: int = 0) -> Iterator[Delivery]:
        """Yields the batches of a round from one on.

        Args:
            seed: Of the stream.
            round_: Decides what is random about the images, with the seed.
            start: First batch.
        """
        place = (seed, 'stream', round_, self.name)
        indices = list(range(len(self.dataset)))
        if self.shuffle:
            own = torch.Generator().manual_seed(derive_seed(*place, 'order'))
            indices = torch.randperm(len(indices), generator=own).tolist()
        size = self.batch_size
        batches = [indices[i : i + size] for i in range(0, len(indices), size)]
        # mmengine's builder would copy the dataset, once a round
        loader: DataLoader[Any] = DataLoader(
            _StreamDataset(self.dataset, place),  # type: ignore[arg-type]
            batch_sampler=batches[start:],
            collate_fn=self._collate,
            **self._loader,
        )
        # an iterator draws a seed for its workers, also where there are none
        with undisturbed():
            iterator = iter(loader)
        yield from iterator


def build_domain(config: DomainConfig) -> Domain:
    """Builds a domain; see `build_dataset` for what may be wrong."""
    return Domain(config, build_dataset(config))


def _shuffle(sampler: Any, name: str) -> bool:
    """Returns whether a domain is shuffled; a stream decides its order itself."""
    if sampler is None:
        return False
    kind = str(sampler.get('type', '')) if isinstance(sampler, dict) else repr(sampler)
    if kind.split('.')[-1] != 'DefaultSampler':
        raise ConfigError(
            f'Domain `{name}`: `dataloader.sampler` is {kind}, but a stream shows each '
            "image once a round: use dict(type='DefaultSampler', shuffle=False)."
        )
    return bool(sampler.get('shuffle', True))


def _check_loader(loader: dict[str, Any], name: str) -> None:
    known = set(inspect.signature(DataLoader.__init__).parameters)
    for key in loader:
        if key not in known:
            raise ConfigError(
                f'Domain `{name}`: a dataloader has no argument `{key}`.'
                f'{did_you_mean(key, known)}'
            )


def _collate_of(config: Any) -> Callable[[list[Any]], Any]:
    if callable(config):
        return config
    kind = config['type']
    function: Callable[[list[Any]], Any] = (
        FUNCTIONS.get(kind) if isinstance(kind, str) else kind
    )
    return function
