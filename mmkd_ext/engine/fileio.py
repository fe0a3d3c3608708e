"""A file backend of mmengine that writes files atomically."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmkd_ext.files import atomic_write, remove_leftovers

__all__ = ['ATOMIC_BACKEND', 'AtomicLocalBackend', 'atomic_write', 'remove_leftovers']

#: Name under which mmengine knows `AtomicLocalBackend`: ``backend_args``'s ``backend``.
ATOMIC_BACKEND = 'mmkd_ext.atomic'


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
