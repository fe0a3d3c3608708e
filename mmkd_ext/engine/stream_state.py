"""The file from which an interrupted stream goes on: one, complete or the old one."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmkd_ext.checkpoint import read_checkpoint
from mmkd_ext.engine.fileio import atomic_write
from mmkd_ext.errors import CheckpointError

if TYPE_CHECKING:
    from mmengine.optim import OptimWrapper

__all__ = [
    'STATE_FILE',
    'Position',
    'flat_settings',
    'optimizer_state',
    'random_state',
    'read_state',
    'set_optimizer_state',
    'set_random_state',
    'write_state',
]

STATE_FILE = 'stream_state.pth'
VERSION = 2
#: Settings that change nothing about predictions.
_FREE = {
    'num_workers',
    'persistent_workers',
    'prefetch_factor',
    'pin_memory',
    'save',
    'resume',
    'log_interval',
    'pictures',
    'source_ckpt',
}


@dataclass
class Position:
    """What comes next in a stream.

    Args:
        round: From 1 on.
        domain: Place of the domain in the round.
        index: Batch of the domain.
        step: Batches before it in the whole stream.
    """

    round: int = 1
    domain: int = 0
    index: int = 0
    step: int = 0


def write_state(folder: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Replaces the state of a stream.

    Args:
        folder: Of the stream.
        state: Dicts, lists, numbers, strings and tensors.

    Raises:
        OSError: The disk is full, or not writable; the old file is as it was.
    """
    with io.BytesIO() as buffer:
        torch.save({'stream_version': VERSION, **state}, buffer)
        atomic_write(Path(folder, STATE_FILE), buffer.getvalue())


def read_state(
    folder: str | os.PathLike[str], settings: Mapping[str, str]
) -> dict[str, Any] | None:
    """Returns the state of a stream; None if it has not saved one.

    Args:
        folder: Of the stream.
        settings: What `flat_settings` gives for the config of now.

    Raises:
        CheckpointError: The file is damaged, or of another config; says of which.
    """
    path = Path(folder, STATE_FILE)
    if not path.is_file():
        return None
    state = read_checkpoint(path)
    if state.get('stream_version') != VERSION:
        raise CheckpointError(
            f'{str(path)!r} is no state of a stream of this version of MMKD-Ext '
            f'(it says {state.get("stream_version")!r}, not {VERSION}). Start anew '
            'without --resume.'
        )
    theirs = state['settings']
    differ = [
        f'`{key}` was {theirs.get(key, "not set")}, is {settings.get(key, "not set")}'
        for key in [*theirs, *(k for k in settings if k not in theirs)]
        if theirs.get(key) != settings.get(key)
    ]
    if differ:
        more = f', and {len(differ) - 5} more' if len(differ) > 5 else ''
        raise CheckpointError(
            f'{str(path)!r} is of another config: {"; ".join(differ[:5])}{more}. '
            'Resume with the old config, or start anew without --resume.'
        )
    return state


def flat_settings(config: Any, path: str = '') -> dict[str, str]:
    """Returns every setting that matters for predictions, by its dotted path."""
    if isinstance(config, Mapping):
        return {
            key: value
            for name, inner in config.items()
            if name not in _FREE
            for key, value in flat_settings(
                inner, f'{path}.{name}' if path else str(name)
            ).items()
        }
    if isinstance(config, (list, tuple)):
        return {
            key: value
            for i, inner in enumerate(config)
            for key, value in flat_settings(inner, f'{path}[{i}]').items()
        } or {path: '[]'}
    if isinstance(config, (str, int, float, bool, type(None))):
        return {path: repr(config)}
    # a built object: its address would differ each time
    return {path: f'<{type(config).__name__}>'}


def random_state() -> dict[str, Any]:
    """Returns the states of the global generators."""
    kind, keys, place, has_gauss, gauss = np.random.get_state()
    version, numbers, next_gauss = random.getstate()
    # tensors: hundreds of single numbers would take longer than the weights
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
    """Puts the global generators where `random_state` found them."""
    version, numbers, gauss = state['python']
    random.setstate((version, tuple(numbers.tolist()), gauss))
    kind, keys, *rest = state['numpy']
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if torch.cuda.is_available() and len(state['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([one.cpu() for one in state['cuda']])


def optimizer_state(wrapper: OptimWrapper | None) -> dict[str, Any] | None:
    """Returns moments, counters, and gradients that are still being accumulated."""
    if wrapper is None:
        return None
    return {
        'wrapper': wrapper.state_dict(),
        'count': wrapper._inner_count,
        'gradients': [p.grad for p in _parameters(wrapper)],
    }


def set_optimizer_state(
    wrapper: OptimWrapper | None, state: Mapping[str, Any] | None
) -> None:
    """Puts an optimizer where `optimizer_state` found it."""
    if wrapper is None or state is None:
        return
    wrapper.load_state_dict(state['wrapper'])
    wrapper._inner_count = state['count']
    for parameter, gradient in zip(_parameters(wrapper), state['gradients']):
        parameter.grad = None if gradient is None else gradient.to(parameter)


def _parameters(wrapper: OptimWrapper) -> list[torch.nn.Parameter]:
    return [p for group in wrapper.optimizer.param_groups for p in group['params']]


def position_state(position: Position) -> dict[str, int]:
    """Returns a position as plain numbers."""
    return asdict(position)
