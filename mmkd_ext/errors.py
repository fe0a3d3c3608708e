"""Errors and the checks that raise them.

Every message says where, what was found and what to do; values are shown with
``repr`` and names in backticks. One helper serves one kind of check, so no two
places can word the same mistake differently.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from torch import Tensor
    from typing_extensions import Self

__all__ = [
    'CheckpointError',
    'ConfigError',
    'DataError',
    'MMKDError',
    'NonFiniteError',
    'Problem',
    'ShapeError',
    'StackError',
    'TapError',
    'check_choice',
    'check_integer',
    'check_keys',
    'check_range',
    'check_shapes',
    'collecting',
    'did_you_mean',
    'is_integer',
    'problems_of',
    'unknown_keys',
]


class MMKDError(Exception):
    """Base of every error that this package raises on purpose.

    Attributes:
        problems: What is wrong at which config paths, where these are known.
        partial: What a constructor could build in spite of the problems, if anything.
    """

    problems: tuple[Problem, ...] = ()
    partial: Any = None

    @classmethod
    def at(cls, path: str, found: str, hint: str = '') -> Self:
        """Returns an error about one config path; see `Problem`."""
        return cls.of([Problem(path, found, hint)])

    @classmethod
    def of(cls, problems: Sequence[Problem], partial: Any = None) -> Self:
        """Returns one error that lists ``problems``, at least one, each once."""
        problems = list(dict.fromkeys(problems))
        lines = [f'{len(problems)} problem(s) in the config:']
        lines += [f'  {number}. {p}' for number, p in enumerate(problems, 1)]
        error = cls('\n'.join(lines) if len(problems) > 1 else str(problems[0]))
        error.problems, error.partial = tuple(problems), partial
        return error


class ConfigError(MMKDError, ValueError):
    """A config says something that cannot be built or cannot work."""


class ShapeError(MMKDError, ValueError):
    """Tensors that belong together do not fit."""


class CheckpointError(MMKDError, RuntimeError):
    """A checkpoint is missing, damaged, unsafe, or of another model."""


class StackError(MMKDError, ImportError):
    """A package of the stack is missing or of a version that does not work."""


class DataError(MMKDError, ValueError):
    """Data on disk is missing, empty or cannot be read."""


class NonFiniteError(MMKDError, FloatingPointError):
    """A loss became NaN or infinite."""


class TapError(MMKDError, RuntimeError):
    """A tap did not yield what a link asked of it."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a config.

    Args:
        path: Where, as a dotted config path such as
            ``model.distiller.links.loss_cwd.preds_S.at``.
        found: What was found there.
        hint: What to do about it.
        link: Name of the link that cannot work because of it.
    """

    path: str
    found: str
    hint: str = ''
    link: str = field(default='', compare=False)

    def __str__(self) -> str:
        text = f'`{self.path}`: {self.found}' if self.path else self.found
        return f'{text} {self.hint}'.rstrip() if self.hint else text


def problems_of(error: Exception, path: str) -> list[Problem]:
    """Returns the problems that an error carries, or the error as one problem.

    Args:
        error: Any error.
        path: Config path for an error that carries none.

    Examples:
        >>> problems_of(KeyError('x'), 'model')
        [Problem(path='model', found="KeyError: 'x'", hint='', link='')]
    """
    if isinstance(error, MMKDError):
        return list(error.problems) or [Problem(path, str(error))]
    return [Problem(path, f'{type(error).__name__}: {error}')]


@contextmanager
def collecting(problems: list[Problem], path: str, link: str = '') -> Iterator[None]:
    """Adds the problems of an error in the block to a list, and goes on after it.

    Args:
        problems: The list.
        path: Config path of an error that carries none.
        link: Name of the link that cannot work without the block.
    """
    try:
        yield
    except MMKDError as error:
        found = problems_of(error, path)
        problems += [replace(p, link=p.link or link) for p in found]


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Returns ``" Did you mean `x`?"`` for close candidates, else ``""``.

    Examples:
        >>> did_you_mean('tua', ['tau', 'loss_weight'])
        ' Did you mean `tau`?'
    """
    names = sorted(set(candidates))
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if not close:
        # a shortened or extended dotted name shares its parts, not its letters
        tail = word.rsplit('.', 1)[-1]
        close = [name for name in names if name.rsplit('.', 1)[-1] == tail][:3]
    if not close:
        return ''
    return ' Did you mean ' + ' or '.join(f'`{name}`' for name in close) + '?'


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raises `ConfigError` unless ``value`` is one of ``choices``.

    Examples:
        >>> check_choice('reduction', 'men', ['sum', 'mean'])
        Traceback (most recent call last):
            ...
        mmkd_ext.errors.ConfigError: `reduction` must be one of 'sum', 'mean', \
but is 'men'. Did you mean `mean`?
    """
    options = list(choices)
    if value in options:
        return
    listed = ', '.join(repr(option) for option in options)
    hint = did_you_mean(str(value), [str(option) for option in options])
    raise ConfigError(f'`{name}` must be one of {listed}, but is {value!r}.{hint}')


def unknown_keys(
    path: str, config: Iterable[Any], known: Collection[str]
) -> list[Problem]:
    """Returns a problem for each key of ``config`` that is not in ``known``.

    Args:
        path: Path of the config.
        config: Its keys, or the config itself.
        known: The keys it may have.
    """
    return [
        Problem(
            f'{path}.{key}',
            f'unknown key; known are {list(known)}.',
            did_you_mean(str(key), known).strip(),
        )
        for key in config
        if key not in known
    ]


def check_keys(path: str, config: Any, known: Collection[str]) -> None:
    """Raises `ConfigError` unless ``config`` is a dict with keys of ``known`` only.

    Examples:
        >>> check_keys('test_cfg.save', dict(interval_=3), ['interval'])
        Traceback (most recent call last):
            ...
        mmkd_ext.errors.ConfigError: `test_cfg.save.interval_`: unknown key; known \
are ['interval']. Did you mean `interval`?
    """
    if not isinstance(config, Mapping):
        raise ConfigError(
            f'`{path}` must be a dict with keys of {list(known)}, but is {config!r}.'
        )
    problems = unknown_keys(path, config, known)
    if problems:
        raise ConfigError.of(problems)


def check_range(
    name: str,
    value: float,
    *,
    gt: float | None = None,
    ge: float | None = None,
    le: float | None = None,
) -> None:
    """Raises `ConfigError` unless ``gt < value`` and ``ge <= value <= le``.

    Examples:
        >>> check_range('tau', 0, gt=0)
        Traceback (most recent call last):
            ...
        mmkd_ext.errors.ConfigError: `tau` must be a number > 0, but is 0.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    _check_bounds(name, value, real and math.isfinite(value), 'a number', gt, ge, le)


def is_integer(value: Any) -> bool:
    """Whether a value is an integer: neither a bool nor a float without fraction.

    Examples:
        >>> is_integer(8), is_integer(8.0), is_integer(True)
        (True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_integer(
    name: str,
    value: int,
    *,
    gt: int | None = None,
    ge: int | None = None,
    le: int | None = None,
) -> None:
    """Raises `ConfigError` unless ``value`` is an integer within the bounds.

    Examples:
        >>> check_integer('steps', 1.5, ge=1)
        Traceback (most recent call last):
            ...
        mmkd_ext.errors.ConfigError: `steps` must be an integer >= 1, but is 1.5.
    """
    _check_bounds(name, value, is_integer(value), 'an integer', gt, ge, le)


def _check_bounds(
    name: str,
    value: Any,
    fits: bool,
    kind: str,
    gt: float | None,
    ge: float | None,
    le: float | None,
) -> None:
    fits = fits and (gt is None or value > gt)
    if fits and (ge is None or value >= ge) and (le is None or value <= le):
        return
    limits = [('>', gt), ('>=', ge), ('<=', le)]
    wanted = ' and '.join(f'{sign} {n}' for sign, n in limits if n is not None)
    kind = f'{kind} {wanted}'.rstrip()
    raise ConfigError(f'`{name}` must be {kind}, but is {value!r}.')


def check_shapes(**named: tuple[Tensor, str]) -> dict[str, int]:
    """Checks tensors against shape patterns with axes shared between them.

    Args:
        named: For each tensor its name, and the pair of tensor and pattern. A
            pattern names the axes, as ``'n c h w'``; a name that stands in two
            patterns must have the same size in both; a number must be met; ``...``
            stands for any number of axes and may be used once.

    Returns:
        Size of each named axis.

    Raises:
        ShapeError: An axis count or an axis differs; names the axis and shows both
            shapes.

    Examples:
        >>> import torch
        >>> check_shapes(student=(torch.zeros(2, 3), 'n c'))
        {'n': 2, 'c': 3}
    """
    sizes: dict[str, int] = {}
    owner: dict[str, str] = {}
    for name, (tensor, pattern) in named.items():
        shape = tuple(tensor.shape)
        for axis, size in _match_axes(name, shape, pattern):
            if axis.isdigit():
                known, source = int(axis), f'`{pattern}` asks for'
            elif axis in sizes:
                known = sizes[axis]
                other = owner[axis]
                source = f'`{other}` {tuple(named[other][0].shape)} has'
            else:
                sizes[axis], owner[axis] = size, name
                continue
            if size != known:
                raise ShapeError(
                    f'Axis `{axis}` differs: `{name}` {shape} has {size}, '
                    f'{source} {known}; `{name}` is read as `{pattern}`.'
                )
    return sizes


def _match_axes(
    name: str, shape: tuple[int, ...], pattern: str
) -> list[tuple[str, int]]:
    """Pairs each axis name of ``pattern`` with its size in ``shape``."""
    axes = pattern.split()
    if '...' in axes:
        at = axes.index('...')
        after = len(axes) - at - 1
        fits = len(shape) >= len(axes) - 1
        front = list(zip(axes[:at], shape[:at]))
        back = list(zip(axes[at + 1 :], shape[len(shape) - after :]))
        pairs = front + back
    else:
        fits = len(shape) == len(axes)
        pairs = list(zip(axes, shape))
    if not fits:
        raise ShapeError(
            f'`{name}` has shape {shape} ({len(shape)} axes), but `{pattern}` is '
            f'needed.'
        )
    return pairs
