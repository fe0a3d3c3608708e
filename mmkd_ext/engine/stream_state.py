"""One stream in progress: its position, and the files it can be resumed from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mmkd_ext.checkpoint import read_checkpoint, to_bytes
from mmkd_ext.engine.fileio import atomic_write
from mmkd_ext.errors import CheckpointError
from mmkd_ext.random_state import get_random_state, set_random_state

if TYPE_CHECKING:
    import logging

    from mmengine.optim import OptimWrapper

    from mmkd_ext.adaptation import ContinualAdaptation
    from mmkd_ext.adaptation.domains import StreamConfig
    from mmkd_ext.engine.stream import Domain
    from mmkd_ext.evaluation.adaptation.record import StreamRecord

__all__ = [
    'ADAPTED_FILE',
    'RESULT_FILE',
    'STATE_FILE',
    'Position',
    'StreamRun',
    'flat_settings',
]

RESULT_FILE = 'results.json'
ADAPTED_FILE = 'adapted.pth'
STATE_FILE = 'stream_state.pth'
VERSION = 3
#: Settings that change nothing about predictions.
_WITHOUT_EFFECT = {
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
    """The next step of a stream.

    Args:
        round: The round, from 1 on.
        domain: Index of the domain in the round.
        index: Index of the batch in the domain.
        step: Number of batches before it in the whole stream.
    """

    round: int = 1
    domain: int = 0
    index: int = 0
    step: int = 0


@dataclass
class StreamRun:
    """One stream in progress: all that changes while it runs, and its files.

    Args:
        stream: Config of the stream.
        model: The model, which has started.
        optimizer: Optimizer of what the method trains, if it trains anything.
        domains: The domains by name, with their metrics.
        record: Collects the results.
        folder: Folder of its files.
        settings: Settings that decide the predictions, see `flat_settings`.
        logger: Gets errors of writing.
        position: The next step.
    """

    stream: StreamConfig
    model: ContinualAdaptation
    optimizer: OptimWrapper | None
    domains: Mapping[str, Domain]
    record: StreamRecord
    folder: Path
    settings: Mapping[str, str]
    logger: logging.Logger
    position: Position = field(default_factory=Position)

    @property
    def domain(self) -> Domain:
        """The domain at the position."""
        return self.domains[self.stream.order[self.position.domain]]

    def save(self) -> None:
        """Writes all that a resumed stream needs; replaces what was saved before."""
        evaluator = self.domain.evaluator
        self._write_state(
            model=self.model.adapt_state(),
            optimizer=_optimizer_state(self.optimizer),
            random=get_random_state(),
            metrics=[m.results for m in evaluator.metrics] if evaluator else [],
        )

    def load(self) -> bool:
        """Restores the saved state of the stream; returns False if there is none.

        Raises:
            CheckpointError: The file is damaged, or was saved with another config.
        """
        state = _read_state(self.folder / STATE_FILE, self.settings)
        if state is None:
            return False
        try:
            self.record.load_state(state['record'])
            self.position = Position(**state['position'])
            if self.record.complete:
                return True
            self.model.load_adapt_state(state['model'])
            _load_optimizer_state(self.optimizer, state['optimizer'])
            set_random_state(state['random'])
            if self.domain.evaluator is not None:
                for metric, results in zip(
                    self.domain.evaluator.metrics, state['metrics']
                ):
                    metric.results = results
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f'The state in {str(self.folder)!r} is damaged: '
                f'{type(error).__name__}: {error}. Start anew without --resume.'
            ) from error
        return True

    def write_results(self) -> None:
        """Writes the result file."""
        text = json.dumps(self.record.results(), indent=1, allow_nan=False) + '\n'
        self._write(RESULT_FILE, text.encode())

    def finish(self) -> None:
        """Writes the adapted model, and a small state that says all is done."""
        self.record.complete = True
        meta = {
            'source': self.model.source.fingerprint,
            'method': type(self.model.distiller).__name__,
        }
        weights = {'meta': meta, 'state_dict': self.model.state_dict()}
        # not `_write`: a run must not end well without its weights
        atomic_write(self.folder / ADAPTED_FILE, to_bytes(weights))
        self.write_results()
        self._write_state()

    def _write_state(self, **state: Any) -> None:
        state = {
            'stream_version': VERSION,
            'settings': dict(self.settings),
            'position': asdict(self.position),
            'record': self.record.state(),
            **state,
        }
        self._write(STATE_FILE, to_bytes(state))

    def _write(self, name: str, content: bytes) -> None:
        """Writes a file; a full disk is logged, and does not stop the stream."""
        try:
            atomic_write(self.folder / name, content)
        except OSError as error:
            self.logger.error(
                f'`{name}` could not be written: {error}. What was written before is '
                'still there; the stream goes on.'
            )


def _read_state(
    path: str | os.PathLike[str], settings: Mapping[str, str]
) -> dict[str, Any] | None:
    """Returns a saved state, whose settings must be these; None if there is no file."""
    if not os.path.isfile(path):
        return None
    state = read_checkpoint(path)
    if state.get('stream_version') != VERSION:
        raise CheckpointError(
            f'{str(path)!r} is no state of a stream of this version of MMKD-Ext '
            f'(it says {state.get("stream_version")!r}, not {VERSION}). Start anew '
            'without --resume.'
        )
    saved = state['settings']
    differ = [
        f'`{key}` was {saved.get(key, "not set")}, is {settings.get(key, "not set")}'
        for key in dict.fromkeys([*saved, *settings])
        if saved.get(key) != settings.get(key)
    ]
    if differ:
        more = f', and {len(differ) - 5} more' if len(differ) > 5 else ''
        raise CheckpointError(
            f'{str(path)!r} was saved with another config: {"; ".join(differ[:5])}'
            f'{more}. Resume with the old config, or start anew without --resume.'
        )
    return state


def flat_settings(config: Any, path: str = '') -> dict[str, str]:
    """Returns every setting that matters for predictions, by its dotted path."""
    if isinstance(config, (Mapping, list, tuple)):
        inner = {f'{path}[{i}]': value for i, value in enumerate(config)}
        if isinstance(config, Mapping):
            kept = {k: v for k, v in config.items() if k not in _WITHOUT_EFFECT}
            inner = {f'{path}.{k}' if path else str(k): v for k, v in kept.items()}
        flat: dict[str, str] = {}
        for name, value in inner.items():
            flat.update(flat_settings(value, name))
        return flat or {path: 'empty'}
    if isinstance(config, (str, int, float, bool, type(None))):
        return {path: repr(config)}
    # a built object: its address would differ each time
    return {path: f'<{type(config).__name__}>'}


def _optimizer_state(wrapper: OptimWrapper | None) -> dict[str, Any] | None:
    """Returns moments, counters, and gradients that are still being accumulated."""
    if wrapper is None:
        return None
    return {
        'wrapper': wrapper.state_dict(),
        'count': wrapper._inner_count,
        'gradients': [p.grad for p in _parameters(wrapper)],
    }


def _load_optimizer_state(
    wrapper: OptimWrapper | None, state: Mapping[str, Any] | None
) -> None:
    if wrapper is None or state is None:
        return
    wrapper.load_state_dict(state['wrapper'])
    wrapper._inner_count = state['count']
    for parameter, gradient in zip(_parameters(wrapper), state['gradients']):
        parameter.grad = None if gradient is None else gradient.to(parameter)


def _parameters(wrapper: OptimWrapper) -> list[torch.nn.Parameter]:
    return [p for group in wrapper.optimizer.param_groups for p in group['params']]
