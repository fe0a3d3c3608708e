"""Steps of a longer work: folders that are kept when done and resumed when not.

Nothing that a run has left is ever removed: what is outdated is moved aside.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from mmkd_ext.errors import ConfigError

__all__ = [
    'StepFolders',
    'as_options',
    'fingerprint',
    'read_state',
    'stop_on_signals',
]


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end the work as cleanly as Ctrl-C does."""
    names = [signal.SIGTERM, signal.SIGHUP]
    before = [signal.signal(number, _interrupt) for number in names]
    try:
        yield
    finally:
        for number, handler in zip(names, before):
            signal.signal(number, handler)


class StepFolders:
    """Folders of steps below one root.

    Args:
        root: Everything is written below it.
        fresh: Move aside what is there and start anew.
        log: Is given lines about what is moved.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        fresh: bool = False,
        log: Callable[[str], None] = print,
    ) -> None:
        self.root = Path(root)
        self.fresh = fresh
        self.log = log
        self._made: set[Path] = set()

    def begin_folder(self, folder: Path, mark: str) -> dict[str, Any]:
        """Makes way for a run: what another run has left in ``folder`` is moved aside.

        Returns:
            What was noted when this run began before, empty if it did not.

        Raises:
            ConfigError: The folder holds files of somebody else.
        """
        begun = folder / 'begun.json'
        anew = self.fresh and folder not in self._made
        self._made.add(folder)
        if anew or read_state(begun).get('mark') != mark:
            if folder.is_dir() and any(folder.iterdir()) and not begun.is_file():
                raise ConfigError(
                    f'{str(folder)!r} holds files that are not of this work. '
                    'Move them away, or choose another folder with `--work-dir`.'
                )
            why = 'a new start' if anew else 'its config, data or teacher changed'
            self.move_aside(folder, why)
        return read_state(begun)

    def move_aside(self, folder: Path, why: str) -> None:
        """Moves a folder below ``outdated`` and says so; nothing is removed."""
        if not folder.is_dir() or not any(folder.iterdir()):
            return
        place = self.root / 'outdated' / folder.relative_to(self.root)
        number = 1
        while (target := place.with_name(f'{place.name}-{number}')).exists():
            number += 1
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
        self.log(f'{folder}: {why}; what was there is kept in {target}')


def fingerprint(*parts: Any) -> str:
    """Returns a hash of what a step's outcome hangs on: texts, numbers, lists."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def read_state(path: Path) -> dict[str, Any]:
    """Returns what was noted in a file, empty when there is none or it is a half."""
    try:
        value = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def as_options(options: Mapping[str, Any]) -> list[str]:
    """Returns ``options`` as ``--cfg-options`` takes them."""
    return [f'{key}={value}' for key, value in options.items()]
