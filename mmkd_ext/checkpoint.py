"""Reading checkpoints safely, extracting a part, and loading with a report.

Checkpoints are read with weights-only on: a file from a stranger cannot run code.
Three kinds of files are distinguished by their keys:

* a plain model, as mmdet and mmseg write it: ``backbone.*``, ``decode_head.*``;
* a distillation, ours or mmrazor's: the student under ``architecture.``, and in
  mmrazor's the teacher under ``teacher.``;
* either of them wrapped: ``module.`` before every key.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import re
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from mmkd_ext import compat
from mmkd_ext.errors import CheckpointError, check_range
from mmkd_ext.version import __version__

__all__ = [
    'LoadReport',
    'extract_part',
    'extract_student',
    'is_distillation',
    'latest_checkpoint',
    'load_weights',
    'read_checkpoint',
    'report_of',
    'some',
    'student_checkpoint',
    'student_path',
    'to_bytes',
    'weights_of',
    'whole_path',
]

#: Where a part of a distillation lies, the first prefix that occurs wins.
PARTS: dict[str, tuple[str, ...]] = {
    'student': ('architecture.', 'student.'),
    'teacher': ('teacher.', 'distiller.teacher.module.', 'peers.teacher.'),
}
_SHOWN = 5
_STUDENT = '_student'
_REPORTS: weakref.WeakKeyDictionary[nn.Module, LoadReport] = (
    weakref.WeakKeyDictionary()
)


@dataclass(frozen=True)
class LoadReport:
    """What a file had for a model.

    Attributes:
        role: Whom the weights are for, ``'student'`` or ``'teacher'``.
        filename: Where they came from.
        prefix: What stood before the keys in the file and was taken off.
        matched: Names in the model's state dict that were filled.
        missing: Names in the model's state dict that the file lacks.
        unexpected: Names in the file that the model lacks.
        mismatched: Name to (shape in the model, shape in the file).
        share: Part of the model's parameters, counted in elements, that was filled,
            from 0 to 1.
    """

    role: str
    filename: str
    prefix: str = ''
    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(
        default_factory=dict
    )
    share: float = 0.0

    @property
    def unfilled(self) -> tuple[str, ...]:
        """Names in the model's state dict that stayed as they were."""
        return (*self.missing, *self.mismatched)

    @property
    def complete(self) -> bool:
        """Whether the file is exactly this model's."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        lines = [
            f'{self.role}: {_percent(self.share)} of the parameters '
            f'({len(self.matched)} keys) loaded from {self.filename}'
            + (f' (its `{self.prefix}` part)' if self.prefix else '')
        ]
        if self.missing:
            lines.append(f'  not in the file: {some(self.missing)}')
        if self.unexpected:
            lines.append(f'  not in the model: {some(self.unexpected)}')
        if self.mismatched:
            shapes = [
                f'{name} {wanted} in the model, {given} in the file'
                for name, (wanted, given) in self.mismatched.items()
            ]
            lines.append(f'  other shapes: {some(shapes)}')
        return '\n'.join(lines)


def read_checkpoint(filename: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the content of a checkpoint file, on the CPU, running none of it.

    Args:
        filename: A path, or an address that mmengine knows: ``https://``,
            ``torchvision://``, ``open-mmlab://``.

    Raises:
        CheckpointError: No such file, not a checkpoint, damaged, or it needs code
            to be run.
    """
    compat.apply()
    name = os.path.expanduser(os.fspath(filename))
    if '://' in name:
        return _as_checkpoint(_download(name), name)
    if not os.path.isfile(name):
        kind = 'is a directory' if os.path.isdir(name) else 'does not exist'
        raise CheckpointError(f'Checkpoint {name!r} {kind}.{_neighbours(name)}')
    try:
        content = torch.load(name, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_why_refused(name, str(error))) from error
    except Exception as error:
        # a damaged file may raise almost anything
        raise CheckpointError(_why_damaged(name, error)) from error
    return _as_checkpoint(content, name)


def weights_of(
    checkpoint: Mapping[str, Any], *, ema: bool | None = None
) -> OrderedDict[str, Tensor]:
    """Returns the state dict of a checkpoint, without a ``module.`` wrapper.

    When mmengine's EMAHook was on, ``state_dict`` holds the averaged weights and
    ``ema_state_dict`` those that were being trained.

    Args:
        checkpoint: What `read_checkpoint` gave.
        ema: True asks for the averaged weights and fails without them, False for
            those that were trained; None takes what the file would be tested with.

    Raises:
        CheckpointError: ``ema`` is True, but the run kept no average; or the file
            holds no weights.
    """
    averaged = 'ema_state_dict' in checkpoint
    if ema and not averaged:
        raise CheckpointError(
            'The checkpoint holds no averaged weights: it has no '
            '`ema_state_dict`, so EMAHook was off. Leave `--ema` out.'
        )
    if averaged and ema is False:
        # beside the weights lies `steps`, the counter of the average
        state = _strip(checkpoint['ema_state_dict'], 'module.')
    else:
        state = _strip(checkpoint.get('state_dict', checkpoint), '')
    if not state:
        raise CheckpointError(
            'The checkpoint holds no weights: it has no tensors under '
            f'`state_dict` (its keys: {some(map(str, checkpoint))}).'
        )
    while all(key.startswith('module.') for key in state):
        state = _strip(state, 'module.')
    return state


def is_distillation(state_dict: Iterable[str]) -> bool:
    """Whether the keys are those of a distillation, not of a plain model."""
    return any(key.startswith(PARTS['student'][0]) for key in state_dict)


def extract_part(
    state_dict: Mapping[str, Tensor], part: str
) -> OrderedDict[str, Tensor]:
    """Returns the weights of one part of a distillation as a plain model's.

    Args:
        state_dict: Weights of a distillation.
        part: ``'student'``, ``'teacher'``, or a literal prefix such as
            ``'architecture.backbone.'``.

    Raises:
        CheckpointError: The part is not in there.
    """
    prefix = _prefix_of(state_dict, part)
    if prefix is not None:
        return _strip(state_dict, prefix)
    tops = sorted({key.split('.')[0] for key in state_dict})
    hint = ''
    if part == 'teacher':
        hint = ' Checkpoints of `mmkd_ext.TeacherDistill` never hold it: use its own.'
    raise CheckpointError(
        f'The checkpoint has no {part} in it; its top-level names are '
        f'{some(tops)}.{hint}'
    )


def _prefix_of(state_dict: Mapping[str, Tensor], part: str) -> str | None:
    """Returns what stands before the keys of a part; None if it is not there."""
    prefixes = PARTS.get(part, (part if part.endswith('.') else f'{part}.',))
    return next((p for p in prefixes if _strip(state_dict, p)), None)


def latest_checkpoint(work_dir: str | os.PathLike[str]) -> str | None:
    """Returns the checkpoint that a run has written last.

    It may have been moved together with the folder.

    Args:
        work_dir: Where the run wrote.

    Returns:
        Its path; None if nothing was written yet.

    Raises:
        CheckpointError: The file ``last_checkpoint`` names one that is gone.
    """
    pointer = os.path.join(work_dir, 'last_checkpoint')
    if not os.path.isfile(pointer):
        return None
    with open(pointer) as file:
        saved = file.read().strip()
    for path in (saved, os.path.join(work_dir, os.path.basename(saved))):
        if saved and os.path.isfile(path):
            return path
    raise CheckpointError(
        f'{pointer!r} points to {saved!r}, which is not there. Name the '
        'checkpoint itself, or remove the pointer and train again.'
    )


def extract_student(state_dict: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Returns the student's weights, with the names that mmdet and mmseg use.

    A plain model's weights come back as they are.

    Examples:
        >>> import torch
        >>> state = {'architecture.neck.w': torch.ones(1), 'teacher.w': torch.ones(2)}
        >>> list(extract_student(state))
        ['neck.w']
    """
    tops = {key.split('.')[0] + '.' for key in state_dict}
    if tops.isdisjoint(PARTS['student']):
        return _strip(state_dict, '')
    return extract_part(state_dict, 'student')


def student_checkpoint(
    checkpoint: Mapping[str, Any],
    *,
    ema: bool | None = None,
    part: str = 'student',
    config: str | None = None,
) -> dict[str, Any]:
    """Returns the checkpoint of the student alone, as mmdet and mmseg write theirs.

    Args:
        checkpoint: A distillation's, ours or mmrazor's, or a plain model's.
        ema: See `weights_of`.
        part: ``'student'``, or ``'teacher'`` for what an mmrazor file also holds.
        config: Text of the plain config, for inference from the file alone.
    """
    state = weights_of(checkpoint, ema=ema)
    state = extract_student(state) if part == 'student' else extract_part(state, part)
    meta = dict(checkpoint.get('meta') or {})
    meta.pop('cfg', None)  # it is the distillation's, which would build a teacher
    meta['mmkd_ext_version'] = __version__
    if config is not None:
        meta['cfg'] = config
    for key, value in state.items():
        # a clone: of a view, torch.save would store all of the storage it lies in
        state[key] = value.detach().cpu().clone()
    return {'meta': meta, 'state_dict': state}


def student_path(checkpoint: str, name: str = 'student') -> str:
    """Returns the path of a student's file beside a checkpoint.

    Examples:
        >>> student_path('work_dirs/x/iter_100.pth')
        'work_dirs/x/iter_100_student.pth'
    """
    stem, extension = os.path.splitext(checkpoint)
    return f'{stem}_{name}{extension}'


def whole_path(student: str) -> str | None:
    """Returns the path of the checkpoint beside a student's file; None for others.

    Examples:
        >>> whole_path('work_dirs/x/iter_100_student.pth')
        'work_dirs/x/iter_100.pth'
    """
    stem, extension = os.path.splitext(student)
    if not stem.endswith(_STUDENT):
        return None
    return stem[: -len(_STUDENT)] + extension


def to_bytes(content: Any) -> bytes:
    """Returns the bytes that `torch.save` writes, for `mmkd_ext.files.atomic_write`."""
    with io.BytesIO() as buffer:
        torch.save(content, buffer)
        return buffer.getvalue()


def load_weights(
    model: nn.Module,
    filename: str | os.PathLike[str],
    *,
    role: str,
    min_matched: float = 0.5,
    part: str | None = None,
    logger: logging.Logger | str | None = None,
) -> LoadReport:
    """Fills ``model`` from a file and reports how much of it fitted.

    Without ``part`` the reading that fits best is taken: the keys as they stand, or
    the student of a distillation. A teacher inside a distillation is taken only on
    request, since two models of one family would both fit.

    Args:
        model: Model to fill, in place. Whoever calls ``init_weights()`` afterwards
            overwrites what was loaded.
        filename: See `read_checkpoint`.
        role: Whom it is for, for messages: ``'student'``, ``'teacher'``.
        min_matched: Share of the parameters, from 0 to 1, that must be filled.
        part: ``'student'``, ``'teacher'`` or a literal prefix to take off.
        logger: Where the report goes; a logger, a logger's name, ``'current'``,
            or None for nowhere.

    Raises:
        CheckpointError: The file cannot be read, or matches less than asked for;
            says what would fit. The model is left as it was.
    """
    check_range('min_matched', min_matched, ge=0, le=1)
    name = os.fspath(filename)
    state = weights_of(read_checkpoint(name))
    prefix, taken = _best_reading(model, state, part)
    before = {k: v.clone() for k, v in _tensors(model).items()}
    report = _fill(model, taken, role, name, prefix)
    if report.share < min_matched or report.share == 0:
        model.load_state_dict(before, strict=False)
        raise CheckpointError(
            f'{report}\n  At least {_percent(min_matched)} must match.'
            f'{_explain(model, state, report)}'
        )
    _REPORTS[model] = report
    if logger is not None:
        from mmengine.logging import print_log

        level = logging.WARNING if report.unfilled else logging.INFO
        print_log(str(report), logger=logger, level=level)
    return report


def report_of(model: nn.Module) -> LoadReport | None:
    """Returns what the file that `load_weights` last filled a model from had for it."""
    return _REPORTS.get(model)


def _best_reading(
    model: nn.Module, state: OrderedDict[str, Tensor], part: str | None
) -> tuple[str, OrderedDict[str, Tensor]]:
    """Returns the prefix to take off, and what is left of ``state`` then."""
    if part is not None:
        return _prefix_of(state, part) or '', extract_part(state, part)
    readings = [('', state)]
    readings += [(p, _strip(state, p)) for p in PARTS['student']]
    # max keeps the first of equals: the keys as they stand
    return max(readings, key=lambda reading: _share(model, reading[1]))


def _fill(
    model: nn.Module,
    state: OrderedDict[str, Tensor],
    role: str,
    filename: str,
    prefix: str,
) -> LoadReport:
    """Loads ``state`` as far as it fits and reports."""
    own = _tensors(model)
    mismatched = {
        k: (tuple(own[k].shape), tuple(v.shape))
        for k, v in state.items()
        if k in own and own[k].shape != v.shape
    }
    fitting = _strip(state, '')
    for key in mismatched:
        del fitting[key]
    try:
        # torch's own loading: modules may rename old keys while they load
        result = model.load_state_dict(fitting, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f'{role}: {filename} does not load: {error}') from error
    matched = tuple(k for k in own if k not in {*result.missing_keys})
    missing = [k for k in result.missing_keys if not k.endswith('num_batches_tracked')]
    return LoadReport(
        role=role,
        filename=filename,
        prefix=prefix,
        matched=matched,
        missing=tuple(k for k in missing if k not in mismatched),
        unexpected=tuple(result.unexpected_keys),
        mismatched=mismatched,
        share=_share_of(model, set(matched)),
    )


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Returns the tensors in a model's state dict that have a shape already."""
    return {
        k: v
        for k, v in model.state_dict().items()
        if isinstance(v, Tensor) and not _is_lazy(v)
    }


def _explain(model: nn.Module, state: Mapping[str, Tensor], report: LoadReport) -> str:
    """Returns a hint at what the file holds instead."""
    teacher = _share(model, _strip(state, 'teacher.'))
    if teacher > report.share:
        return (
            f' The teacher inside this distillation checkpoint matches '
            f'{_percent(teacher)}: take it out with `python tools/export_student.py '
            f'{report.filename} --part teacher --out teacher.pth`.'
        )
    names = {k for k, _ in model.named_parameters()}
    for top in dict.fromkeys(name.split('.')[0] for name in names):
        prefixed = {f'{top}.{key}' for key in state}
        if prefixed & names:
            return (
                f' Its keys are those of `{top}` alone: give it there, '
                f"`{top}=dict(init_cfg=dict(type='Pretrained', "
                f'checkpoint={report.filename!r}))`.'
            )
    if len(report.mismatched) > len(report.missing):
        return (
            ' The names fit and the sizes do not: a model of another width or number '
            'of classes.'
        )
    wanted, given = (sorted({k.split('.')[0] for k in keys}) for keys in (names, state))
    return (
        f' The model has {some(wanted)}; the file has {some(given)}. '
        'Is it the checkpoint of another model?'
    )


def _share(model: nn.Module, state: Mapping[str, Tensor]) -> float:
    """Share of the model's parameters that ``state`` has in the same shape."""
    sizes = {k: v.shape for k, v in state.items()}
    fitting = {k for k, v in model.named_parameters() if sizes.get(k) == _shape(v)}
    return _share_of(model, fitting)


def _share_of(model: nn.Module, names: set[str]) -> float:
    """Share of the model's parameters, in elements, that ``names`` are."""
    # remove_duplicate=False: tied weights are in the state dict under each name
    sizes = {
        k: _shape(v).numel() for k, v in model.named_parameters(remove_duplicate=False)
    }
    total = sum(sizes.values())
    return sum(sizes[k] for k in names if k in sizes) / total if total else 1.0


def _shape(parameter: Tensor) -> torch.Size:
    """Shape of a parameter; that of a lazy one is not known yet."""
    return torch.Size([0]) if _is_lazy(parameter) else parameter.shape


def _is_lazy(tensor: Tensor) -> bool:
    """Whether torch gives the tensor a shape only in the first forward."""
    return isinstance(tensor, (UninitializedBuffer, UninitializedParameter))


def _strip(state: Mapping[str, Any], prefix: str) -> OrderedDict[str, Tensor]:
    """Returns the tensors under ``prefix``, without it."""
    size = len(prefix)
    taken = OrderedDict(
        (k[size:], v)
        for k, v in state.items()
        if k.startswith(prefix) and isinstance(v, Tensor)
    )
    versions = getattr(state, '_metadata', None)
    if versions is not None:
        # torch keeps each module's format version here, by module name
        taken._metadata = OrderedDict(  # type: ignore[attr-defined]
            (f'{k}.'[size:-1], v)
            for k, v in versions.items()
            if f'{k}.'.startswith(prefix)
        )
    return taken


def _download(name: str) -> Any:
    """Reads an address with mmengine's loaders."""
    from mmengine.runner.checkpoint import CheckpointLoader

    try:
        return CheckpointLoader.load_checkpoint(name, map_location='cpu')
    except pickle.UnpicklingError as error:
        raise CheckpointError(_why_refused(name, str(error))) from error
    except Exception as error:
        # urllib, torch.hub and mmengine's tables each have errors of their own
        raise CheckpointError(
            f'Checkpoint {name!r} could not be fetched: '
            f'{type(error).__name__}: {error}. Without internet, download it '
            'elsewhere and give its path.'
        ) from error


def _as_checkpoint(content: Any, name: str) -> dict[str, Any]:
    """Checks that what was read is a dict."""
    if not isinstance(content, dict):
        raise CheckpointError(
            f'{name!r} is not a checkpoint: it holds a '
            f'`{type(content).__name__}`, not a dict of weights.'
        )
    return content


_UNSAFE = re.compile(
    r'(?:[Uu]nsupported (?:global: )?GLOBAL|Unsupported class|unrecognized function'
    r"|but got) (?:<class ')?([\w.]+)"
)


def _why_refused(name: str, message: str) -> str:
    """Returns why a pickle is refused: it would run code, or is damaged."""
    unsafe = _UNSAFE.search(message)
    if unsafe:
        return (
            f'Checkpoint {name!r} is refused: loading it would run code '
            f'(`{unsafe.group(1)}`), and only weights are read. If you trust '
            'where it comes from, save its state dict again with torch.save.'
        )
    return _why_damaged(name, message)


def _why_damaged(name: str, error: object) -> str:
    """Returns one line that says why a file cannot be read."""
    lines = str(error).strip().splitlines()
    # torch's own text for weights-only advises to switch the safety off
    shown = lines and not lines[0].startswith('Weights only')
    detail = f': {lines[0][:160]}' if shown else ''
    size = os.path.getsize(name) if os.path.exists(name) else 0
    return (
        f'Checkpoint {name!r} ({size} bytes) is damaged or not a checkpoint'
        f'{detail}. Copy or download it again.'
    )


def _neighbours(name: str) -> str:
    """Lists the checkpoints that lie beside a missing one."""
    folder = os.path.dirname(name) if not os.path.isdir(name) else name
    try:
        files = sorted(f for f in os.listdir(folder or '.') if f.endswith('.pth'))
    except OSError:
        return f' Its folder {folder!r} does not exist either.'
    return f' Checkpoints in that folder: {some(files)}.'


def some(items: Iterable[str]) -> str:
    """Joins a few of ``items``, for messages, and counts the rest."""
    listed = list(items)
    text = ', '.join(listed[:_SHOWN])
    more = len(listed) - _SHOWN
    return f'{text} and {more} more' if more > 0 else text or 'none'


def _percent(share: float) -> str:
    """Writes a share so that 100 % means all of it."""
    return f'{int(share * 1000) / 10:g} %'
