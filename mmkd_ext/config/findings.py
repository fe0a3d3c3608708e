"""What a check has found: problems that stop, warnings, notes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mmkd_ext.errors import Problem, problems_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ['Findings']


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


def _extend(known: list[Problem], more: Iterable[Problem]) -> None:
    for one in more:
        tidy = replace(one, hint=one.hint.strip())
        if tidy not in known:
            known.append(tidy)
