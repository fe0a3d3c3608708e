"""What a check has found: problems that stop, warnings, notes."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mmkd_ext.errors import ConfigError, MMKDError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ['Findings', 'problems_of']

_PATH_FIRST = re.compile(
    r'`((?:model|optim_wrapper|param_scheduler|test_cfg|train_cfg)\b[^`\s]*)`: '
)


@dataclass
class Findings:
    """Collects what is found; the same thing found twice counts once.

    Attributes:
        problems: What cannot work or cannot be meant.
        warnings: What works, and is likely not wanted.
        notes: What is good to know.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def problem(self, path: str, found: str, hint: str = '') -> None:
        """Adds a problem at a config path."""
        self.add([Problem(path, found, hint)])

    def warn(self, path: str, found: str, hint: str = '') -> None:
        """Adds a warning."""
        _extend(self.warnings, [Problem(path, found, hint)])

    def note(self, path: str, found: str, hint: str = '') -> None:
        """Adds a note."""
        _extend(self.notes, [Problem(path, found, hint)])

    def add(self, problems: Iterable[Problem]) -> None:
        """Adds problems."""
        _extend(self.problems, problems)

    @contextmanager
    def collecting(self, path: str) -> Iterator[None]:
        """Notes an error raised in the block as a problem, and goes on after it.

        Args:
            path: Config path for errors that name none.
        """
        try:
            yield
        except Exception as error:
            # what a config makes others raise is theirs to choose
            self.add(problems_of(error, path))


def problems_of(error: Exception, path: str) -> list[Problem]:
    """Reads the problems off an error.

    Args:
        error: One of ours, which carries problems or begins with a config path, or
            of anybody.
        path: Config path for errors that name none.
    """
    if isinstance(error, ConfigError) and error.problems:
        return list(error.problems)
    text = str(error)
    if not isinstance(error, MMKDError):
        return [Problem(path, f'{type(error).__name__}: {text}')]
    named = _PATH_FIRST.match(text)
    if named:
        return [Problem(named[1], text[named.end() :])]
    return [Problem(path, text)]


def _extend(known: list[Problem], more: Iterable[Problem]) -> None:
    for one in more:
        tidy = replace(one, hint=one.hint.strip())
        if tidy not in known:
            known.append(tidy)
