"""Recording values inside a model during one forward pass.

A `Recorder` wraps the ``forward`` of the tapped modules for the length of a ``with``
block only. So nothing stays on a model that is copied or saved, and a module whose
``forward`` is called directly (as mmseg calls its heads) is recorded too.
`Recorder.clear` drops the records.
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointFunction

from mmkd_ext.distillers.store import tap_key
from mmkd_ext.errors import TapError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mmkd_ext.distillers.links import Source, Tap

__all__ = ['Recorder', 'SilentTapError', 'listed_taps', 'select', 'tensors_of']

_MODULE_KINDS = ('ModuleOutputs', 'ModuleInputs')
_ITSELF = 'Module'
#: Only counted, so that a pass does not stop before them.
_CALL_KINDS = ('MethodCalls', 'FunctionCalls')
_VERSION = operator.attrgetter('_version')


class SilentTapError(TapError):
    """A tap did not fire, or not often enough, in one forward pass."""


class _StopForward(BaseException):
    """Leaves a forward pass whose last tap has fired.

    Not an `Exception`, so that no ``except Exception`` of the model catches it.
    """


class _Record(NamedTuple):
    """What one call gave, its tensors, and how often each was changed in place."""

    value: Any
    tensors: list[torch.Tensor]
    versions: list[int]


class Recorder:
    """Records the values that the taps of one model need.

    Args:
        owner: Name of the model, for messages: ``'student'`` or a teacher's name.
        taps: The taps; several may share a source.

    Attributes:
        needed: How many calls of each source are recorded; None for all.
        can_stop: Whether it is known after which calls everything has been recorded.
        without_gradient: Sources that were recorded while gradients were off inside the
            pass, each with the module whose activations are checkpointed around it;
            None where it was ``torch.no_grad``. Found in passes with ``explain``.
    """

    def __init__(self, owner: str, taps: Iterable[Tap]) -> None:
        self.owner = owner
        self.taps = list(taps)
        self.needed: dict[Source, int | None] = {}
        for tap in self.taps:
            if tap.source.kind == _ITSELF:
                continue
            known = self.needed.get(tap.source, 0)
            if tap.call == 'all' or known is None:
                self.needed[tap.source] = None
            else:
                last = max(tap.call) if isinstance(tap.call, tuple) else int(tap.call)
                self.needed[tap.source] = max(known, last + 1)
        self.without_gradient: dict[Source, nn.Module | None] = {}
        self._modules: dict[Source, nn.Module] = {}
        self._records: dict[Source, list[_Record]] = {}
        self._given: dict[str, Any] = {}
        self._missing = 0
        self._foreign = _foreign_recorders(self.needed)
        self.can_stop = all(
            count is not None and source.kind in _MODULE_KINDS
            for source, count in self.needed.items()
        )

    def resolve(self, model: nn.Module) -> list[tuple[Tap, str, str]]:
        """Looks up the modules of all taps.

        Returns:
            For each tap that cannot work: the tap, what is wrong, and a hint.
        """
        problems = []
        modules = dict(model.named_modules())
        for tap in self.taps:
            kind, name = tap.source.kind, tap.source.name
            if kind not in (*_MODULE_KINDS, _ITSELF):
                continue
            if name not in modules:
                owner = f'`{type(model).__name__}` of `{self.owner}`'
                top = ', '.join(name for name, _ in model.named_children())
                hint = did_you_mean(name, filter(None, modules)) or f'It has: {top}.'
                problems.append((tap, f'{owner} has no module `{name}`.', hint))
            elif kind != _ITSELF and _is_container(modules[name]):
                children = [f'{name}.{n}' for n, _ in modules[name].named_children()]
                what = (
                    f'`{name}` of `{self.owner}` is a container '
                    f'({type(modules[name]).__name__}), which is never called itself.'
                )
                problems.append((tap, what, f'Tap what it holds: {children[:6]}.'))
        return problems

    @contextmanager
    def recording(
        self, model: nn.Module, *, stop: bool = False, explain: bool = False
    ) -> Iterator[None]:
        """Records during the block, and leaves the model as it was.

        Args:
            model: The model.
            stop: Leave the block after the last tap.
            explain: Also find out what is `without_gradient`; for dry runs.
        """
        self.clear()
        self.without_gradient = {}
        explain = explain and torch.is_grad_enabled()
        stop = stop and self.can_stop
        for tap in self.taps:
            if tap.source.kind == _ITSELF:
                self._modules[tap.source] = model.get_submodule(tap.source.name)
        self._missing = sum(filter(None, self.needed.values()))
        try:
            with ExitStack() as stack:
                for source in self.needed:
                    if source in self._foreign:
                        recorder = self._foreign[source]
                        if not recorder._initialized:
                            recorder.initialize(model)
                        stack.enter_context(recorder)
                        continue
                    note = functools.partial(self._note, source, stop, explain)
                    _listen(stack, *_function_of(source, model), note)
                yield
        except _StopForward:
            return
        finally:
            for source, recorder in self._foreign.items():
                self._records[source] = list(map(_record, recorder.data_buffer))
                recorder.reset_data_buffer()

    def _note(
        self, source: Source, stop: bool, explain: bool, inputs: Any, outputs: Any
    ) -> None:
        """Keeps what one call gave, and leaves the pass if that was the last."""
        records = self._records.setdefault(source, [])
        needed = self.needed[source]
        if needed is not None and len(records) >= needed:
            return
        value = outputs if source.kind == 'ModuleOutputs' else inputs
        records.append(_record(None if source.kind in _CALL_KINDS else value))
        if explain and not torch.is_grad_enabled():
            self.without_gradient[source] = _checkpointed()
        self._missing -= 1
        if stop and not self._missing:
            raise _StopForward

    def silent(self) -> list[Tap]:
        """Returns the taps that got fewer calls than they need."""
        return [
            tap
            for tap in self.taps
            if tap.source in self.needed
            and len(self._records.get(tap.source, ())) < (self.needed[tap.source] or 1)
        ]

    def changed(self) -> list[Tap]:
        """Returns the taps whose tensors were changed in place after recording."""
        return [
            tap
            for tap in self.taps
            if any(
                list(map(_VERSION, record.tensors)) != record.versions
                for record in self._records.get(tap.source, ())
            )
        ]

    def value(self, tap: Tap) -> Any:
        """Returns what a tap recorded: the chosen calls and part.

        Raises:
            SilentTapError: It did not fire, or not often enough.
            TapError: It has no such part, or was changed in place by a later module.
        """
        source = tap.source
        if self._given:
            return self._given[tap_key(tap)]
        if source.kind == _ITSELF:
            return self._modules[source]
        records = self._records.get(source, ())
        if len(records) < (self.needed[source] or 1):
            raise SilentTapError(self.silence(tap))
        for record in records:
            if list(map(_VERSION, record.tensors)) != record.versions:
                raise TapError(
                    f'{tap} was changed in place by a later operation, so what a link '
                    'would see is not what the module returned. Tap the later module, '
                    'or set `module_inplace=False` (`teacher_module_inplace=False`).'
                )
        if isinstance(tap.call, int):
            value = records[tap.call].value
            return value if tap.item is None else select(value, tap.item, tap)
        if isinstance(tap.call, tuple):
            records = [records[call] for call in tap.call]
        return tuple(select(record.value, tap.item, tap) for record in records)

    def give(self, values: Mapping[str, Any], device: torch.device) -> None:
        """Takes the values of all taps from elsewhere, instead of recording a pass.

        Args:
            values: By `tap_key`.
            device: Where the values are to be.
        """
        move = functools.partial(torch.Tensor.to, device=device, non_blocking=True)
        self._given = {key: _map(move, value) for key, value in values.items()}

    def crop(self, padded: tuple[int, int], size: tuple[int, int], count: int) -> None:
        """Crops all recorded maps to the pictures without their padding.

        Args:
            padded: Height and width of the pictures.
            size: Height and width before they were padded.
            count: Number of pictures.
        """

        def crop(value: torch.Tensor) -> torch.Tensor:
            if value.dim() == 4 and len(value) == count:
                for stride in (2**power for power in range(9)):
                    if [math.ceil(x / stride) for x in padded] == [*value.shape[2:]]:
                        height, width = (math.ceil(side / stride) for side in size)
                        return value[:, :, :height, :width]
            return value

        self._records = self._mapped(crop)

    def to_float32(self) -> None:
        """Turns all recorded maps of half precision into float32."""
        half = (torch.float16, torch.bfloat16)
        self._records = self._mapped(lambda x: x.float() if x.dtype in half else x)

    @contextmanager
    def detached(self) -> Iterator[None]:
        """Detaches the records from their graph during the block."""
        records = self._records
        self._records = self._mapped(torch.Tensor.detach)
        try:
            yield
        finally:
            self._records = records

    def _mapped(
        self, change: Callable[[torch.Tensor], torch.Tensor]
    ) -> dict[Source, list[_Record]]:
        """Returns the records with each tensor of their values changed."""
        return {
            source: [one._replace(value=_map(change, one.value)) for one in records]
            for source, records in self._records.items()
        }

    def silence(self, tap: Tap) -> str:
        """Explains why a tap has too few records and what to use instead."""
        calls = len(self._records.get(tap.source, ()))
        if calls:
            return (
                f'{tap} was called {calls} time(s), but `call={tap.call}` was asked; '
                'calls are counted from 0.'
            )
        return (
            f'{tap} was not called in this forward pass: the branch is unused in this '
            "mode (as an auxiliary head is outside of mode='loss'). `listed_taps` or "
            '`tools/check_config.py` show what is called.'
        )

    def clear(self) -> None:
        """Drops everything recorded."""
        self._records = {}
        self._modules = {}
        self._given = {}


def select(value: Any, item: Any, where: object) -> Any:
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
        first = (type(module).__name__, describe(outputs), 0)
        kind, what, count = calls.get(name, first)
        calls[name] = (kind, what, count + 1)

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if name and not _is_container(module):
                _listen(stack, module, 'forward', functools.partial(note, name, module))
        run(model)
    return [(name, *entry) for name, entry in calls.items()]


def _listen(
    stack: ExitStack, holder: Any, name: str, note: Callable[[Any, Any], None]
) -> None:
    """Calls ``note(inputs, outputs)`` after each call, until the stack closes.

    What has replaced the function before, as deliveries do, is still called.
    """
    own = vars(holder).get(name)
    function = getattr(holder, name)

    @functools.wraps(function)
    def noted(*args: Any, **kwargs: Any) -> Any:
        outputs = function(*args, **kwargs)
        note((*args, *kwargs.values()), outputs)
        return outputs

    setattr(holder, name, noted)
    if own is None:
        stack.callback(delattr, holder, name)
    else:
        stack.callback(setattr, holder, name, own)


def _function_of(source: Source, model: nn.Module) -> tuple[Any, str]:
    """Returns what has a source's function, and the function's name there."""
    if source.kind in _MODULE_KINDS:
        return model.get_submodule(source.name), 'forward'
    path, name = source.name.rsplit('.', 1)
    if source.kind == 'FunctionCalls':
        return importlib.import_module(path), name
    module, kind = path.rsplit('.', 1)
    return getattr(importlib.import_module(module), kind), name


def _checkpointed() -> nn.Module | None:
    """Returns the module whose checkpointed activations are being computed, if any.

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


def _foreign_recorders(sources: Iterable[Source]) -> dict[Source, Any]:
    """Builds MMRazor's recorders for the sources that are not modules."""
    foreign = [s for s in sources if s.kind not in (*_MODULE_KINDS, *_CALL_KINDS)]
    if not foreign:
        return {}
    from mmkd_ext.razor import RecorderManager

    configs = {
        str(source): {'type': f'mmrazor.{source.kind}', 'source': source.name}
        for source in foreign
    }
    manager = RecorderManager(configs)
    return {source: manager.get_recorder(str(source)) for source in foreign}


def _is_container(module: nn.Module) -> bool:
    """Whether a module has no ``forward`` of its own."""
    return type(module).forward is nn.Module.forward


def tensors_of(value: Any) -> list[torch.Tensor]:
    """Returns the tensors inside nested dicts, lists and tuples."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [tensor for part in value for tensor in tensors_of(part)]


def _record(value: Any) -> _Record:
    # the tensors of inference mode do not count their changes
    tensors = [t for t in tensors_of(value) if not t.is_inference()]
    return _Record(value, tensors, list(map(_VERSION, tensors)))
