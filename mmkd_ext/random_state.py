"""Seeds and states of the global random generators of Python, NumPy and torch."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = [
    'derive_seed',
    'get_random_state',
    'preserve_random_state',
    'seed_all',
    'set_random_state',
]


def derive_seed(*parts: int | str) -> int:
    """Returns a seed that depends on each of ``parts`` and on nothing else.

    Examples:
        >>> derive_seed(0, 'step', 1) == derive_seed(0, 'step', 1)
        True
        >>> derive_seed(0, 'step', 1) == derive_seed(0, 'step', 2)
        False
    """
    text = '\0'.join(map(str, parts)).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, 'little') >> 1  # torch takes signed 64 bits


def seed_all(seed: int, *, devices: bool = True) -> None:
    """Seeds the global generators of Python, NumPy and torch.

    Args:
        seed: A number from 0 to 2**63 - 1.
        devices: Whether to seed those of the accelerators too.
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    if devices:
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


@contextmanager
def preserve_random_state(*, devices: bool = False) -> Iterator[None]:
    """Restores the global generators after a block.

    Args:
        devices: Whether to restore those of the CUDA devices too.

    Examples:
        >>> with preserve_random_state():
        ...     first = torch.rand(3)
        >>> torch.equal(first, torch.rand(3))
        True
    """
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=None if devices else []):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def get_random_state() -> dict[str, Any]:
    """Returns the states of the global generators, as a checkpoint can hold them."""
    kind, keys, place, has_gauss, gauss = np.random.get_state()
    version, numbers, next_gauss = random.getstate()
    # tensors: hundreds of single numbers would take longer to save than the weights
    return {
        'python': (version, torch.tensor(numbers), next_gauss),
        'numpy': (
            kind,
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(place),
            int(has_gauss),
            float(gauss),
        ),
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Sets the global generators to what `get_random_state` returned."""
    version, numbers, gauss = state['python']
    random.setstate((version, tuple(numbers.tolist()), gauss))
    kind, keys, *rest = state['numpy']
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if torch.cuda.is_available() and len(state['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([device.cpu() for device in state['cuda']])
