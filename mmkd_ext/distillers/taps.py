"""Taps: recording values inside a model during one forward pass.

A `Recorder` wraps the ``forward`` of the modules it listens to, only for the length of
a ``with`` block. So nothing stays on a model that is copied or saved, a module whose
``forward`` is called directly (mmseg's heads do) is heard too, and the records are let
go with `Recorder.release`.
"""

from __future__ import annotations

import functools
import importlib
import math
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Callable

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointFunction

from mmkd_ext.errors import TapError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mmkd_ext.distillers.links import Source, Tap

__all__ = ['Recorder', 'SilentTapError', 'listed_taps', 'select']

_MODULE_KINDS = ('ModuleOutputs', 'ModuleInputs')
_ITSELF = 'Module'
#: Counted, so that a pass goes as far as them; nothing of them is kept.
_CALL_KINDS = ('MethodCalls', 'FunctionCalls')


class SilentTapError(TapError):
    """A tap did not fire, or not often enough, in one forward pass."""


class _StopForward(BaseException):
    """Leaves a forward pass whose last tap has fired.

    Not an `Exception`, so that no ``except Exception`` on the way holds it up.
    """


class Recorder:
    """Records what the taps of one model ask for.

    Args:
        owner: Whose model it is, for messages: ``'student'`` or a teacher's name.
        taps: The taps; several may share a source.

    Attributes:
        without_gradient: Sources that were recorded while gradients were off inside the
            pass, each with the module whose activations are checkpointed around it;
            None where it was ``torch.no_grad``. Found in passes with ``explain``.
    """

    def __init__(self, owner: str, taps: Iterable[Tap]) -> None:
        self.owner = owner
        self.taps = list(taps)
        self.needed: dict[Source, int | None] = {}
        for tap in self.taps:
            if tap.source.kind != _ITSELF:
                self._need(tap)
        self.without_gradient: dict[Source, nn.Module | None] = {}
        self._modules: dict[Source, nn.Module] = {}
        self._records: dict[Source, list[tuple[Any, list[int]]]] = {}
        self._foreign = _foreign_recorders(self.needed)

    def _need(self, tap: Tap) -> None:
        """Notes how many calls of a source are wanted; None for all."""
        if tap.call == 'all':
            self.needed[tap.source] = None
            return
        last = max(tap.call) if isinstance(tap.call, tuple) else tap.call
        known = self.needed.get(tap.source, 0)
        self.needed[tap.source] = None if known is None else max(known, int(last) + 1)

    @property
    def can_stop(self) -> bool:
        """Whether it is known after which calls everything has been recorded."""
        counted = any(source.kind in _CALL_KINDS for source in self.needed)
        return not self._foreign and not counted and None not in self.needed.values()

    def resolve(self, model: nn.Module) -> list[tuple[Tap, str, str]]:
        """Looks all modules up.

        Returns:
            For each tap that cannot work: the tap, what was found, what to do.
        """
        found = []
        modules = dict(model.named_modules())
        for tap in self.taps:
            source = tap.source
            if source.kind not in (*_MODULE_KINDS, _ITSELF):
                continue
            if source.name not in modules:
                near = did_you_mean(source.name, (n for n in modules if n))
                top = ', '.join(name for name, _ in model.named_children())
                found.append(
                    (
                        tap,
                        f'{_kind(model)} of `{self.owner}` has no module '
                        f'`{source.name}`.',
                        near or f'It has: {top}.',
                    )
                )
            elif source.kind != _ITSELF and _is_container(modules[source.name]):
                children = [
                    f'{source.name}.{name}'
                    for name, _ in modules[source.name].named_children()
                ]
                found.append(
                    (
                        tap,
                        f'`{source.name}` of `{self.owner}` is a container '
                        f'({type(modules[source.name]).__name__}), which is '
                        'never called itself.',
                        f'Tap what it holds: {children[:6]}.',
                    )
                )
        return found

    @contextmanager
    def recording(
        self, model: nn.Module, *, stop: bool = False, explain: bool = False
    ) -> Iterator[None]:
        """Records during the block.

        Earlier records are dropped. Whatever happens inside, the model is left as it
        was.

        Args:
            model: The model.
            stop: Leave the block after the last tap.
            explain: Also find out what is `without_gradient`; for dry runs.
        """
        self.release()
        self.without_gradient = {}
        explain = explain and torch.is_grad_enabled()
        stop = stop and self.can_stop
        self._modules = {
            tap.source: model.get_submodule(tap.source.name)
            for tap in self.taps
            if tap.source.kind == _ITSELF
        }
        with ExitStack() as stack:
            for source in self.needed:
                if source.kind in _MODULE_KINDS:
                    module = model.get_submodule(source.name)
                    stack.enter_context(
                        _listening(
                            module,
                            functools.partial(self._hear, source, stop, explain),
                        )
                    )
                elif source.kind in _CALL_KINDS:
                    note = functools.partial(
                        self._hear, source, False, explain, None, None
                    )
                    stack.enter_context(_counting(source, note))
            for recorder in self._foreign.values():
                if not recorder._initialized:
                    recorder.initialize(model)
                stack.enter_context(recorder)
            try:
                yield
            except _StopForward:
                return

    def _hear(
        self, source: Source, stop: bool, explain: bool, inputs: Any, outputs: Any
    ) -> None:
        records = self._records.setdefault(source, [])
        needed = self.needed[source]
        if needed is not None and len(records) >= needed:
            return
        value = outputs if source.kind == 'ModuleOutputs' else inputs
        records.append((value, _versions(value)))
        if explain and not torch.is_grad_enabled():
            self.without_gradient[source] = _checkpointed()
        if stop and self._complete():
            raise _StopForward

    def _complete(self) -> bool:
        return all(
            len(self._records.get(source, ())) >= (needed or 0)
            for source, needed in self.needed.items()
        )

    def silent(self) -> list[Tap]:
        """Returns the taps that got fewer calls than they need."""
        return [
            tap
            for tap in self.taps
            if tap.source in self.needed
            and len(self.calls_of(tap.source)) < max(1, self.needed[tap.source] or 1)
        ]

    def changed(self) -> list[Tap]:
        """Returns the taps whose tensors were changed in place after recording."""
        return [
            tap
            for tap in self.taps
            if any(
                _versions(value) != versions
                for value, versions in self._records.get(tap.source, ())
            )
        ]

    def value(self, tap: Tap) -> Any:
        """Returns what a tap recorded: the chosen calls and part.

        Raises:
            SilentTapError: It did not fire, or not often enough.
            TapError: It has no such part, or was changed in place by a later module.
        """
        if tap.source.kind == _ITSELF:
            return self._modules[tap.source]
        calls = self.calls_of(tap.source)
        wanted = self.needed[tap.source] or 1
        if len(calls) < wanted:
            raise SilentTapError(self.silence(tap, len(calls)))
        if tap in self.changed():
            raise TapError(
                f'`{tap.source}` of `{self.owner}` was changed in place by a later '
                'operation, so what a link would see is not what the module returned. '
                'Tap the later module, or set `module_inplace=False` '
                '(`teacher_module_inplace=False`).'
            )
        if tap.call == 'all':
            return tuple(select(call, tap.item, self._where(tap)) for call in calls)
        if isinstance(tap.call, tuple):
            return tuple(select(calls[i], tap.item, self._where(tap)) for i in tap.call)
        return select(calls[int(tap.call)], tap.item, self._where(tap))

    def crop(self, padded: tuple[int, int], size: tuple[int, int], count: int) -> None:
        """Takes off all recorded maps what padding of the pictures added to them.

        Args:
            padded: Height and width of the pictures.
            size: Height and width before they were padded.
            count: Number of pictures.
        """
        crop = functools.partial(_cropped, padded=padded, size=size, count=count)
        self._records = self._mapped(crop)

    @contextmanager
    def detached(self) -> Iterator[None]:
        """Takes the records off their graph during the block."""
        records = self._records
        self._records = self._mapped(torch.Tensor.detach)
        try:
            yield
        finally:
            self._records = records

    def _mapped(
        self, change: Callable[[torch.Tensor], torch.Tensor]
    ) -> dict[Source, list[tuple[Any, list[int]]]]:
        """Returns the records with each tensor changed; versions stay."""
        return {
            source: [(_map(change, value), versions) for value, versions in records]
            for source, records in self._records.items()
        }

    def silence(self, tap: Tap, calls: int) -> str:
        """Says why a tap has too few records and what to use instead."""
        if not calls:
            return (
                f'`{tap.source}` of `{self.owner}` was not called in this forward '
                'pass: the branch is unused in this mode (as an auxiliary head is '
                "outside of mode='loss'). `listed_taps` or `tools/check_config.py` "
                'show what is called.'
            )
        return (
            f'`{tap.source}` of `{self.owner}` was called {calls} time(s), but '
            f'`call={tap.call}` was asked; calls are counted from 0.'
        )

    def calls_of(self, source: Source) -> list[Any]:
        """Returns the values of a source in this pass, one a call."""
        if source in self._foreign:
            return list(self._foreign[source].data_buffer)
        return [value for value, _ in self._records.get(source, ())]

    def _where(self, tap: Tap) -> str:
        return f'`{tap.source}` of `{self.owner}`'

    def release(self) -> None:
        """Lets go of everything recorded."""
        self._records = {}
        self._modules = {}
        for recorder in self._foreign.values():
            recorder.reset_data_buffer()


def select(value: Any, item: Any, where: str) -> Any:
    """Returns a part of a recorded value.

    Args:
        value: What was recorded.
        item: None for all of it, an index, a dotted path of indices and keys, or a
            tuple of these for a pyramid.
        where: What was recorded, for messages.

    Raises:
        TapError: There is no such part.

    Examples:
        >>> select((1, {'a': [2, 3]}), '1.a.0', 'x')
        2
        >>> select((1, 2, 3), (0, 2), 'x')
        (1, 3)
    """
    if item is None:
        return value
    if isinstance(item, tuple):
        return tuple(select(value, part, where) for part in item)
    for key in [item] if isinstance(item, int) else str(item).split('.'):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif (
            isinstance(value, (list, tuple))
            and str(key).lstrip('-').isdigit()
            and -len(value) <= int(key) < len(value)
        ):
            value = value[int(key)]
        else:
            raise TapError(
                f'{where} has no item {item!r}: there is no {key!r} in '
                f'{describe(value)}.'
            )
    return value


def describe(value: Any) -> str:
    """Describes a recorded value by types and shapes."""
    if isinstance(value, torch.Tensor):
        return f'Tensor{tuple(value.shape)}'
    if isinstance(value, dict):
        inside = ', '.join(f'{key}: {describe(v)}' for key, v in value.items())
        return f'dict({inside})'
    if isinstance(value, (list, tuple)):
        return f'{type(value).__name__}({", ".join(map(describe, value))})'
    return type(value).__name__


def listed_taps(
    model: nn.Module, run: Callable[[nn.Module], Any]
) -> list[tuple[str, str, str, int]]:
    """Lists what could be tapped during ``run(model)``.

    Returns:
        For each module that was called: its name, its type, what the first call
        returned, and the number of calls; in the order of first calls.
    """
    calls: dict[str, tuple[str, str, int]] = {}

    def note(name: str, module: nn.Module, inputs: Any, outputs: Any) -> None:
        kind, what, count = calls.get(
            name, (type(module).__name__, describe(outputs), 0)
        )
        calls[name] = (kind, what, count + 1)

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if name and not _is_container(module):
                stack.enter_context(
                    _listening(module, functools.partial(note, name, module))
                )
        run(model)
    return [(name, *entry) for name, entry in calls.items()]


@contextmanager
def _listening(module: nn.Module, hear: Callable[[Any, Any], None]) -> Iterator[None]:
    """Calls ``hear(inputs, outputs)`` after each ``forward`` during the block."""
    own = module.__dict__.get('forward')
    forward = module.forward

    @functools.wraps(forward)
    def heard(*args: Any, **kwargs: Any) -> Any:
        outputs = forward(*args, **kwargs)
        hear((*args, *kwargs.values()), outputs)
        return outputs

    module.forward = heard
    try:
        yield
    finally:
        if own is None:
            del module.__dict__['forward']
        else:
            module.forward = own


@contextmanager
def _counting(source: Source, note: Callable[[], None]) -> Iterator[None]:
    """Calls ``note()`` after each call of a method or function during the block.

    What has been put in its place before stays at work, as deliveries do.
    """
    path, name = source.name.rsplit('.', 1)
    if source.kind == 'MethodCalls':
        module, kind = path.rsplit('.', 1)
        holder = getattr(importlib.import_module(module), kind)
    else:
        holder = importlib.import_module(path)
    own = vars(holder).get(name)
    inner = getattr(holder, name)

    @functools.wraps(inner)
    def noted(*args: Any, **kwargs: Any) -> Any:
        value = inner(*args, **kwargs)
        note()
        return value

    setattr(holder, name, noted)
    try:
        yield
    finally:
        if own is None:
            delattr(holder, name)
        else:
            setattr(holder, name, own)


def _checkpointed() -> nn.Module | None:
    """Returns the module that is at work on checkpointed activations, if one is.

    torch runs what it checkpoints without gradients, and once more when going backward.
    """
    frame, inside = sys._getframe(), False
    while frame is not None:
        owner = frame.f_locals.get('self')
        if inside and isinstance(owner, nn.Module):
            return owner
        inside = inside or frame.f_code is CheckpointFunction.forward.__code__
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _map(change: Callable[[torch.Tensor], torch.Tensor], value: Any) -> Any:
    """Returns a recorded value with each tensor inside it changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _map(change, part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [_map(change, part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value


def _cropped(
    value: torch.Tensor, padded: tuple[int, int], size: tuple[int, int], count: int
) -> torch.Tensor:
    """Crops a tensor if it is a map of whole pictures."""
    if value.dim() == 4 and len(value) == count:
        for stride in (2**power for power in range(9)):
            if [math.ceil(side / stride) for side in padded] == [*value.shape[2:]]:
                height, width = (math.ceil(side / stride) for side in size)
                return value[:, :, :height, :width]
    return value


def _foreign_recorders(sources: Iterable[Source]) -> dict[Source, Any]:
    """Builds MMRazor's recorders for the kinds that are not about modules."""
    ours = (*_MODULE_KINDS, *_CALL_KINDS)
    foreign = [s for s in sources if s.kind not in ours]
    if not foreign:
        return {}
    from mmkd_ext.razor import RecorderManager

    manager = RecorderManager(
        {
            str(i): {'type': f'mmrazor.{s.kind}', 'source': s.name}
            for i, s in enumerate(foreign)
        }
    )
    return {s: manager.get_recorder(str(i)) for i, s in enumerate(foreign)}


def _is_container(module: nn.Module) -> bool:
    """Whether a module has no ``forward`` of its own."""
    return type(module).forward is nn.Module.forward


def _kind(model: nn.Module) -> str:
    return f'`{type(model).__name__}`'


def _versions(value: Any) -> list[int]:
    """Counts in-place changes of each tensor inside a recorded value."""
    if isinstance(value, torch.Tensor):
        return [] if value.is_inference() else [value._version]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [count for part in value for count in _versions(part)]
    return []
