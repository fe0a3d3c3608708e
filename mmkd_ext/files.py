"""Atomic writing of files."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

__all__ = ['atomic_write', 'remove_leftovers', 'write_json']

_SUFFIX = '.part'


def atomic_write(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Writes a file so that a reader, or a crash, sees all of it or none of it.

    The bytes go to a hidden file in the same folder, are flushed to the disk, and
    then take the name.

    Args:
        path: Where to; missing folders are made.
        content: The whole file; text is written as UTF-8.

    Returns:
        ``path``, as a `Path`.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f'.{target.name}.{uuid.uuid4().hex[:8]}{_SUFFIX}')
    try:
        # mode 0o666 less the umask, as open() gives; tempfile would give 0o600
        with open(part, 'xb') as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        error.filename = os.fspath(target)  # a full disk tells none
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    _sync_folder(target.parent)
    return target


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Writes ``value`` as indented JSON, atomically, with a final newline."""
    return atomic_write(path, json.dumps(value, indent=2) + '\n')


def remove_leftovers(folder: str | os.PathLike[str]) -> list[str]:
    """Removes what a killed `atomic_write` left in ``folder``; returns the names."""
    removed = []
    for part in Path(folder).glob(f'.*{_SUFFIX}'):
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
            removed.append(part.name)
    return removed


def _sync_folder(folder: Path) -> None:
    """Flushes a rename to the disk, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
