"""Files that are either the old one or the new one, never half of either."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

__all__ = ['ATOMIC_BACKEND', 'AtomicLocalBackend', 'atomic_write', 'remove_leftovers']

#: Name under which mmengine knows `AtomicLocalBackend`: ``backend_args``'s ``backend``.
ATOMIC_BACKEND = 'mmkd_ext.atomic'
_SUFFIX = '.part'


def atomic_write(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file so that a reader, or a crash, sees all of it or none of it.

    The bytes go to a hidden file in the same folder, are flushed to the disk, and
    then take the name.

    Args:
        path: Where to; missing folders are made.
        content: The whole file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f'.{target.name}.{uuid.uuid4().hex[:8]}{_SUFFIX}')
    try:
        # mode 0o666 less the umask, as open() gives; tempfile would give 0o600
        with open(part, 'xb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    _sync_folder(target.parent)


def remove_leftovers(folder: str | os.PathLike[str]) -> list[str]:
    """Removes what a killed `atomic_write` left in ``folder``; returns the names."""
    removed = []
    for part in Path(folder).glob(f'.*{_SUFFIX}'):
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
            removed.append(part.name)
    return removed


def _sync_folder(folder: Path) -> None:
    """Puts a rename on the disk; not every file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@register_backend(ATOMIC_BACKEND)
class AtomicLocalBackend(LocalBackend):
    """mmengine's local files, written by `atomic_write`.

    Use it as ``backend_args=dict(backend='mmkd_ext.atomic')``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes."""
        atomic_write(filepath, bytes(obj))

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes text."""
        atomic_write(filepath, obj.encode(encoding))
