"""A description of the machine and the stack, fit to publish: no names, no paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

__all__ = ['commit', 'describe_machine', 'versions']

_STACK = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmrazor', 'numpy')


def describe_machine() -> dict[str, str | int | float]:
    """Returns processor, cores, memory, threads and GPU, without any name of a host."""
    import torch

    described: dict[str, str | int | float] = {
        'processor': _processor(),
        'cores': os.cpu_count() or 1,
        'memory_gib': _memory_gib(),
        'torch_threads': torch.get_num_threads(),
        'system': platform.system(),
    }
    if torch.cuda.is_available():
        described['gpu'] = torch.cuda.get_device_name(0)
        described['gpus'] = torch.cuda.device_count()
    return described


def versions() -> dict[str, str]:
    """Returns the versions of Python and of what is there of the stack."""
    found = {'python': platform.python_version()}
    for name in _STACK:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit(folder: str | os.PathLike[str] = '.') -> str:
    """Returns the git commit of ``folder``.

    ``+changes`` is added when tracked or new files differ from it, and ``unknown``
    is returned outside of a repository or before its first commit.
    """
    head = _git(folder, 'rev-parse', 'HEAD')
    if not head:
        return 'unknown'
    return head + ('+changes' if _git(folder, 'status', '--porcelain') else '')


def _git(folder: str | os.PathLike[str], *words: str) -> str:
    try:
        done = subprocess.run(
            ['git', '-C', os.fspath(folder), *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ''
    return done.stdout.strip()


def _processor() -> str:
    try:
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    try:
        size = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (ValueError, OSError, AttributeError):
        return 0.0
    return round(size / 2**30, 1)
