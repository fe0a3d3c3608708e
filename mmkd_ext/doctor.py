"""Checks that every package of the stack is installed, fits and works.

    python -m mmkd_ext.doctor

prints a table, found / needed / verdict, then for each failure the command that fixes
it. The exit status is 0 when nothing failed; a GPU is not needed. Parts are not only
looked up but used: an operator of mmcv runs, mmrazor is really imported, a process
group is really formed. Nothing but the standard library is needed to start.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmkd_ext import compat
from mmkd_ext.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ['CHECKS', 'NEEDED', 'CheckResult', 'check_package', 'examine', 'show']

ROOT = Path(__file__).resolve().parents[1]

OK, INFO, FAIL = 'ok', 'info', 'FAIL'

# package: oldest that works, newest that works or None, tested version, and what is
# imported of it
NEEDED: dict[str, tuple[str, str | None, str, tuple[str, ...]]] = {
    'torch': ('2.1', None, '2.13.0', ('torch',)),
    'mmengine': ('0.10', '0.10.99', '0.10.7', ('mmengine', 'mmengine.runner')),
    'mmcv': ('2.0.1', '2.1.0', '2.1.0', ('mmcv',)),
    'mmdet': ('3.0', '3.3.99', '3.3.0', ('mmdet.models',)),
    'mmsegmentation': ('1.0', '1.2.99', '1.2.2', ('mmseg.models',)),
    'mmrazor': ('1.0.0', '1.0.99', '1.0.0', ('mmrazor.models',)),
}

# undeclared dependencies: module, package, what needs it
UNDECLARED: tuple[tuple[str, str, str], ...] = (
    ('joblib', 'joblib', 'mmrazor.models'),
    ('sklearn', 'scikit-learn', "mmrazor's predictors"),
    ('pydacefit', 'pydacefit', "mmrazor's predictors"),
    ('ftfy', 'ftfy', 'text models of mmdet and mmseg'),
    ('regex', 'regex', 'text models of mmdet and mmseg'),
    ('ordered_set', 'ordered-set', 'mmrazor'),
)

# what pip calls a module, where the names differ
DISTRIBUTIONS = {
    'PIL': 'pillow',
    'cv2': 'opencv-python-headless<5',
    'ordered_set': 'ordered-set',
    'pkg_resources': 'setuptools<81',
    'skimage': 'scikit-image',
    'sklearn': 'scikit-learn',
    'yaml': 'pyyaml',
}

OPS_SCRIPT = """
import torch
from mmcv.ops import get_compiling_cuda_version, nms
boxes = torch.tensor([[0., 0., 4., 4.], [0., 0., 4., 3.9], [8., 8., 9., 9.]])
scores = torch.tensor([0.9, 0.8, 0.7])
gpu = torch.cuda.is_available()
if gpu and get_compiling_cuda_version() == 'not available':
    raise SystemExit('built without its GPU operators, but there is a GPU')
for device in ['cpu'] + ['cuda'] * gpu:
    kept = nms(boxes.to(device), scores.to(device), 0.5)[1].tolist()
    if kept != [0, 2]:
        raise SystemExit(f'nms on {device} kept {kept}, not [0, 2]')
print('ran nms on CPU' + ' and GPU' * gpu)
"""

GROUP_SCRIPT = """
import sys, torch
import torch.distributed as dist
backend, path = sys.argv[1:]
store = dist.FileStore(path, 1)
dist.init_process_group(backend, store=store, rank=0, world_size=1)
dist.all_reduce(torch.ones(1, device='cuda' if backend == 'nccl' else 'cpu'))
dist.destroy_process_group()
print('formed a group')
"""


@dataclass(frozen=True)
class CheckResult:
    """One row of the table.

    Args:
        part: What was checked.
        found: What is there.
        needed: What has to be there.
        verdict: ``'ok'``, ``'info'`` or ``'FAIL'``.
        fix: Command that fixes a failure.
    """

    part: str
    found: str
    needed: str
    verdict: str = OK
    fix: str = ''


def _row(part: str, found: str, needed: str, problem: Any, fix: str) -> CheckResult:
    """Returns a row that fails where there is a problem."""
    verdict = (FAIL, fix) if problem else (OK, '')
    return CheckResult(part, found, needed, *verdict)


def _pip(*arguments: str) -> str:
    return shlex.join([sys.executable, '-m', 'pip', *arguments])


def _install(package: str) -> str:
    """Returns the command that brings a part of the stack at its tested version."""
    bootstrap = ROOT / 'tools' / 'bootstrap.py'
    if package == 'mmcv' and bootstrap.exists():
        return shlex.join(
            [sys.executable, str(bootstrap), '--into-current', '--force']
        )
    if package == 'mmkd_ext':
        return _pip('install', '--force-reinstall', '--no-deps', 'mmkd_ext')
    pin = f'{package}=={NEEDED[package][2]}'
    if package == 'mmcv':
        build = ('--no-build-isolation', '--no-cache-dir', '--force-reinstall')
        command = _pip('install', '--no-deps', *build, '--no-binary', 'mmcv', pin)
        return f'MMCV_WITH_OPS=1 {command}'
    # their own requirements would bring the opencv-python that needs libGL
    return _pip('install', *(['--no-deps'] if package != 'torch' else []), pin)


def _fix_import(package: str, reason: str) -> str:
    """Returns what to do about an installed package that cannot be imported."""
    missing = re.search(r"No module named '([^'.]+)'", reason)
    if missing and missing[1] in NEEDED:
        return _install(missing[1])
    if missing and missing[1] != package:
        return _pip('install', DISTRIBUTIONS.get(missing[1], missing[1]))
    # the bootstrap of a checkout goes through the whole stack
    checkout = (ROOT / 'tools' / 'bootstrap.py').exists()
    return _install('mmcv' if checkout else package)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Returns the leading numbers of a version, as ``(2, 13, 0)``."""
    match = re.match(r'\d+(\.\d+)*', version)
    return tuple(int(part) for part in match[0].split('.')) if match else ()


def _try_import(*modules: str) -> str:
    """Imports ``modules``; returns why that fails, nothing when it works."""
    for module in modules:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                importlib.import_module(module)
        # a broken package may raise anything at all, and each kind is an answer
        except Exception as error:
            first = (str(error).strip().splitlines() or [''])[0]
            return f'`import {module}` fails: {type(error).__name__}: {first}'
    return ''


def _run(script: str, *arguments: str, timeout: float = 120) -> tuple[bool, str]:
    """Runs ``script`` in a process of its own, where even a crash is an answer."""
    try:
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', script, *arguments],
            capture_output=True, text=True, timeout=timeout, check=False,
            env=dict(os.environ, OMP_NUM_THREADS='1'),
        )
    except subprocess.TimeoutExpired:
        return False, f'no answer within {timeout:.0f} s'
    if done.returncode == 0:
        return True, done.stdout.strip()
    lines = (done.stderr or done.stdout).strip().splitlines()
    return False, lines[-1] if lines else f'died with status {done.returncode}'


# --- checks ------------------------------------------------------------------------


def check_python() -> Iterator[CheckResult]:
    """Checks the interpreter, and for a C++ compiler, which only mmcv's build needs."""
    found = f'{platform.python_version()} ({sys.executable})'
    fits = (3, 9) <= sys.version_info[:2] <= (3, 12)
    fix = 'make setup PYTHON=python3.11'
    yield _row('python', found, '3.9 to 3.12', not fits, fix)
    name = shlex.split(os.environ.get('CXX') or 'c++')[0]
    path = shutil.which(name) or shutil.which('g++')
    if path is None and _version('mmcv'):
        yield CheckResult('C++ compiler', 'none', 'to build mmcv, which is done', INFO)
    else:
        fix = 'sudo apt install g++'
        yield _row('C++ compiler', path or 'none', 'to build mmcv', not path, fix)


def check_package(package: str) -> Iterator[CheckResult]:
    """Checks the version of a part of the stack, and imports it."""
    low, high, tested, modules = NEEDED[package]
    needed = f'{low} or newer, tested {tested}' if high is None else tested
    version = _version(package)
    if version is None:
        yield CheckResult(package, 'not installed', needed, FAIL, _install(package))
    elif not _numbers(low) <= _numbers(version) <= _numbers(high or version):
        found = f'{version} does not work here'
        yield CheckResult(package, found, needed, FAIL, _install(package))
    else:
        reason = _try_import(*modules)
        found = f'{version}; {reason}' if reason else version
        fix = _fix_import(package, reason)
        yield _row(package, found, needed, reason, fix)


def check_base() -> Iterator[CheckResult]:
    """Checks what others build on: torch, numpy, setuptools, opencv, and the rest."""
    yield from check_package('torch')
    for package, module, needed, pin in (
        ('numpy', 'numpy', '1.22 or newer, 2 included', 'numpy>=1.22'),
        ('setuptools', 'pkg_resources',
         'below 81: mmengine and mmcv import pkg_resources', 'setuptools<81'),
    ):
        reason, version = _try_import(module), _version(package) or 'not installed'
        old = package == 'numpy' and _numbers(version) < (1, 22)
        found = f'{version}; {reason}' if reason else version
        yield _row(package, found, needed, reason or old, _pip('install', pin))
    yield from check_opencv()
    for module, package, who in UNDECLARED:
        there = importlib.util.find_spec(module) is not None
        found = (_version(package) or 'there') if there else 'not installed'
        fix = _pip('install', package)
        yield _row(package, found, f'any, for {who}', not there, fix)


def check_opencv() -> Iterator[CheckResult]:
    """Checks OpenCV, which comes under two names that share their files."""
    names = ('opencv-python', 'opencv-python-headless')
    there = [name for name in names if _version(name)]
    reason = _try_import('cv2')
    found = ', '.join(f'{name} {_version(name)}' for name in there) or 'not installed'
    fix = _pip('install', '--force-reinstall', '--no-deps', 'opencv-python-headless<5')
    if there:
        fix = f'{_pip("uninstall", "-y", *there)} && {fix}'
    found = f'{found}; {reason}' if reason else found
    yield _row('opencv', found, 'one opencv, as cv2', reason or len(there) == 2, fix)


def check_mmcv() -> Iterator[CheckResult]:
    """Checks mmcv, and runs one of its operators."""
    (row,) = check_package('mmcv')
    yield row
    works, answer = False, 'not tried'
    if row.verdict == OK:
        works, answer = _run(OPS_SCRIPT)
    fix = row.fix or _install('mmcv')
    yield _row('mmcv.ops', answer, 'operators that run', not works, fix)


def check_stack() -> Iterator[CheckResult]:
    """Checks mmengine, the patches for it, and the packages on top."""
    yield from check_package('mmengine')
    yield from check_mmcv()
    yield from check_patches()
    for package in ('mmdet', 'mmsegmentation', 'mmrazor'):
        yield from check_package(package)
    reason = _try_import('mmkd_ext.registry')
    where = 'checkout' if (ROOT / 'setup.py').exists() else 'installed'
    found = f'{__version__}, {where}' + (f'; {reason}' if reason else '')
    fix = _fix_import('mmkd_ext', reason)
    yield _row('mmkd_ext', found, 'registers with mmengine', reason, fix)


def check_patches() -> Iterator[CheckResult]:
    """Applies the patches of `mmkd_ext.compat`, and asks whether they took."""
    reason = ''
    try:
        compat.apply()
    # a broken package may raise anything at all, and each kind is an answer
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
    applied = [patch.name for patch in compat.report() if patch.state == 'applied']
    found = reason or ', '.join(applied) or 'none needed'
    fix = _fix_import('torch', reason)
    yield _row('patches', found, 'what this torch needs', reason, fix)


def check_devices() -> Iterator[CheckResult]:
    """Lists the GPUs, and forms a process group with each backend that is there."""
    if _try_import('torch'):
        yield CheckResult('GPU, distributed', 'not tried: no torch', 'gloo', INFO)
        return
    torch: Any = importlib.import_module('torch')
    gpu = torch.cuda.is_available()
    found = 'none, all runs on the CPU'
    if gpu:
        devices = map(torch.cuda.get_device_properties,
                      range(torch.cuda.device_count()))
        names = ', '.join(f'{d.name} {d.total_memory / 2**30:.0f} GiB' for d in devices)
        found = f'{names}, CUDA {torch.version.cuda}'
    elif shutil.which('nvidia-smi'):
        kind = torch.version.cuda or 'a CPU build'
        found = f'a driver, but torch ({kind}) does not see it'
    yield CheckResult('GPU', found, 'none', OK if gpu else INFO)
    dist: Any = importlib.import_module('torch.distributed')
    if not dist.is_available():
        found = 'torch was built without it: one process only'
        yield CheckResult('distributed', found, 'gloo', INFO)
        return
    backends = ['gloo'] * dist.is_gloo_available()
    backends += ['nccl'] * (gpu and dist.is_nccl_available())
    for backend in backends:
        with tempfile.TemporaryDirectory() as folder:
            works, answer = _run(GROUP_SCRIPT, backend, str(Path(folder) / 'store'))
        # a host name that does not resolve is what usually stops gloo
        again = shlex.join([sys.executable, '-m', 'mmkd_ext.doctor'])
        fix = f'GLOO_SOCKET_IFNAME=lo NCCL_SOCKET_IFNAME=lo {again}'
        part = f'distributed: {backend}'
        yield _row(part, answer, 'forms a group', not works, fix)


CHECKS: tuple[Callable[[], Iterator[CheckResult]], ...] = (
    check_python,
    check_base,
    check_stack,
    check_devices,
)


def examine(log: Callable[[str], None] = lambda _: None) -> list[CheckResult]:
    """Runs all checks.

    Args:
        log: Called with the name of each part after its check.

    Returns:
        All rows, in the order of the table.
    """
    rows = []
    for check in CHECKS:
        for row in check():
            log(row.part)
            rows.append(row)
    return rows


# --- showing -----------------------------------------------------------------------


def show(rows: Sequence[CheckResult]) -> None:
    """Prints the table, and the commands that fix what failed."""
    if importlib.util.find_spec('rich') is not None:
        _show_rich(rows)
    else:
        print('mmkd_ext doctor')
        for row in rows:
            line = f'{row.verdict:<5} {row.part:<20} {row.found}'
            line = f'{line}  (needed: {row.needed})'
            print(textwrap.fill(line, 100, subsequent_indent=' ' * 27))
        print()
    fixes: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict == FAIL:
            fixes.setdefault(row.fix, []).append(row.part)
    if not fixes:
        print('No problems found.')
        return
    failures = sum(map(len, fixes.values()))
    print(f'{failures} part(s) need fixing, in this order:')
    for fix, parts in fixes.items():
        print(f'\n  # {", ".join(parts)}\n  {fix}')


def _show_rich(rows: Sequence[CheckResult]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title='mmkd_ext doctor', title_justify='left')
    for name in ('part', 'found', 'needed', 'verdict'):
        table.add_column(name, overflow='fold')
    colour = {OK: 'green', INFO: 'cyan', FAIL: 'bold red'}
    for row in rows:
        cells = [escape(cell) for cell in (row.part, row.found, row.needed)]
        table.add_row(*cells, f'[{colour[row.verdict]}]{row.verdict}[/]')
    # a pipe has no width; wide enough that no cell of a healthy stack is folded
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Examines and shows; returns 0 when nothing failed."""
    parser = argparse.ArgumentParser(
        description='Checks every part of the stack and says how to fix it.')
    parser.parse_args(argv)
    live = sys.stdout.isatty()

    def log(part: str) -> None:
        if live:
            print(f'\r\033[Kchecked {part} ...', end='', flush=True)

    rows = examine(log)
    if live:
        print('\r\033[K', end='')
    show(rows)
    return int(any(row.verdict == FAIL for row in rows))


if __name__ == '__main__':
    sys.exit(main())
