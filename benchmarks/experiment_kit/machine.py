"""A description of the machine and the code, fit to publish: no names, no paths."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

__all__ = ['commit', 'describe_machine']


def describe_machine() -> dict[str, str | int | float]:
    """Returns processor, cores, memory, threads and GPU, without any name of a host."""
    import psutil
    import torch

    described: dict[str, str | int | float] = {
        'processor': _processor(),
        'cores': os.cpu_count() or 1,
        'memory_gib': round(psutil.virtual_memory().total / 2**30, 1),
        'torch_threads': torch.get_num_threads(),
        'system': platform.system(),
    }
    if torch.cuda.is_available():
        described['gpu'] = torch.cuda.get_device_name(0)
        described['gpus'] = torch.cuda.device_count()
    return described


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
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2] for line in lines if line.startswith('model name')]
    return names[0].strip() if names else platform.processor() or platform.machine()
