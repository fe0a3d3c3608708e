"""Checks that every package of the stack is installed, fits and works.

    python -m mmkd_ext.doctor

prints what was found of each part, then for each failure the command that fixes it. The
exit status is 0 when nothing failed; a GPU is not needed. To what mmengine's
`collect_env` reports come the versions that fit together, and trials: an operator of
mmcv runs, a process group is formed. The standard library is enough to start.
"""

from __future__ import annotations

import argparse
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
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmkd_ext import compat
from mmkd_ext.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ['CHECKS', 'NEEDED', 'CheckResult', 'check_package', 'show']

BOOTSTRAP = Path(__file__).resolve().parents[1] / 'tools' / 'bootstrap.py'

OK, INFO, FAIL = 'ok', 'info', 'FAIL'
OPENCVS = ('opencv-python', 'opencv-python-headless')

# package: oldest and newest that work, None is any; tested version; what is imported
NEEDED: dict[str, tuple[str, str | None, str, tuple[str, ...]]] = {
    'torch': ('2.1', None, '2.13.0', ('torch',)),
    'mmengine': ('0.10', '0.10.99', '0.10.7', ('mmengine', 'mmengine.runner')),
    'mmcv': ('2.0.1', '2.1.0', '2.1.0', ('mmcv',)),
    'mmdet': ('3.0', '3.3.99', '3.3.0', ('mmdet.models',)),
    'mmsegmentation': ('1.0', '1.2.99', '1.2.2', ('mmseg.models',)),
    'mmrazor': ('1.0.0', '1.0.99', '1.0.0', ('mmrazor.models',)),
}

# what mmrazor, and text models of mmdet and mmseg, need without declaring it
UNDECLARED = ('joblib', 'sklearn', 'pydacefit', 'ftfy', 'regex', 'ordered_set')

DISTRIBUTIONS = {  # what pip calls a module, where the names differ
    'PIL': 'pillow', 'cv2': 'opencv-python-headless<5', 'ordered_set': 'ordered-set',
    'pkg_resources': 'setuptools<81', 'sklearn': 'scikit-learn', 'yaml': 'pyyaml',
}

OPS_SCRIPT = """
import sys, torch
from mmcv.ops import get_compiling_cuda_version, nms
boxes = torch.tensor([[0., 0., 4., 4.], [0., 0., 4., 3.9], [8., 8., 9., 9.]])
gpu = torch.cuda.is_available()
if (gpu or sys.argv[1:]) and get_compiling_cuda_version() == 'not available':
    raise SystemExit('built without its GPU operators, but there is a GPU')
for device in ['cpu'] + ['cuda'] * gpu:
    scores = torch.tensor([0.9, 0.8, 0.7], device=device)
    kept = nms(boxes.to(device), scores, 0.5)[1].tolist()
    if kept != [0, 2]:
        raise SystemExit(f'nms on {device} kept {kept}, not [0, 2]')
print('ran nms on CPU' + ' and GPU' * gpu)
"""

GROUP_SCRIPT = """
import sys, torch
import torch.distributed as dist
backend, path = sys.argv[1:]
dist.init_process_group(backend, store=dist.FileStore(path, 1), rank=0, world_size=1)
dist.all_reduce(torch.ones(1, device='cuda' if backend == 'nccl' else 'cpu'))
dist.destroy_process_group()
print('formed a group')
"""


class CheckResult(NamedTuple):
    """A part, what was found and needed, `OK`, `INFO` or `FAIL`, and what fixes it."""

    part: str
    found: str
    needed: str
    verdict: str = OK
    fix: str = ''


def _row(part: str, found: str, needed: str, problem: Any, fix: str) -> CheckResult:
    """Returns a row that fails where there is a problem; one of text is shown."""
    if problem and isinstance(problem, str):
        found = f'{found}; {problem}'
    return CheckResult(part, found, needed, *((FAIL, fix) if problem else (OK, '')))


def _pip(*arguments: str) -> str:
    return shlex.join([sys.executable, '-m', 'pip', *arguments])


def _install(package: str) -> str:
    """Returns the command that brings a part of the stack at its tested version."""
    if package == 'mmkd_ext':
        return _pip('install', '--force-reinstall', '--no-deps', 'mmkd_ext')
    pin = f'{package}=={NEEDED[package][2]}'
    if package != 'mmcv':
        # their own requirements would bring the opencv-python that needs libGL
        return _pip('install', *(['--no-deps'] if package != 'torch' else []), pin)
    if BOOTSTRAP.exists():
        return shlex.join([sys.executable, str(BOOTSTRAP), '--into-current', '--force'])
    build = ('--no-build-isolation', '--no-cache-dir', '--force-reinstall')
    pip = _pip('install', '--no-deps', *build, '--no-binary', 'mmcv', pin)
    return f'MMCV_WITH_OPS=1 {pip}'


def _fix_import(package: str, reason: str) -> str:
    """Returns what to do about an installed package that cannot be imported."""
    missing = re.search(r"No module named '([^'.]+)'", reason)
    if missing and missing[1] in NEEDED:
        return _install(missing[1])
    if missing and missing[1] != package:
        return _pip('install', DISTRIBUTIONS.get(missing[1], missing[1]))
    # the bootstrap of a checkout goes through the whole stack
    return _install('mmcv' if BOOTSTRAP.exists() else package)


def _version(package: str) -> str:
    """Returns the version of an installed package, '' if it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''


def _numbers(version: str) -> tuple[int, ...]:
    """Returns the leading numbers of a version, as ``(2, 13, 0)``."""
    return tuple(map(int, re.findall(r'\d+', version.partition('+')[0])[:3]))


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
    command = [sys.executable, '-W', 'ignore', '-c', script, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                              check=False, env=dict(os.environ, OMP_NUM_THREADS='1'))
    except subprocess.TimeoutExpired:
        return False, f'no answer within {timeout:.0f} s'
    if done.returncode == 0:
        return True, done.stdout.strip()
    lines = (done.stderr or done.stdout).strip().splitlines()
    return False, lines[-1] if lines else f'died with status {done.returncode}'


def check_python() -> Iterator[CheckResult]:
    """Checks the interpreter."""
    found = f'{platform.python_version()} ({sys.executable})'
    wrong = not (3, 9) <= sys.version_info[:2] <= (3, 12)
    yield _row('python', found, '3.9 to 3.12', wrong, 'make setup PYTHON=python3.11')


def check_package(package: str) -> Iterator[CheckResult]:
    """Checks the version of a part of the stack, and imports it."""
    low, high, tested, modules = NEEDED[package]
    needed = f'{low} or newer, tested {tested}' if high is None else tested
    version = _version(package)
    if not _numbers(low) <= _numbers(version) <= _numbers(high or version):
        found = f'{version} does not work here' if version else 'not installed'
        yield CheckResult(package, found, needed, FAIL, _install(package))
        return
    reason = _try_import(*modules)
    yield _row(package, version, needed, reason, _fix_import(package, reason))


def check_base() -> Iterator[CheckResult]:
    """Checks what others build on: torch, setuptools, opencv, what nobody declares."""
    yield from check_package('torch')
    problem, fix = _try_import('pkg_resources'), _pip('install', 'setuptools<81')
    needed = 'below 81: mmengine and mmcv import pkg_resources'
    yield _row('setuptools', _version('setuptools') or 'none', needed, problem, fix)
    yield from check_opencv()
    for module in UNDECLARED:
        package = DISTRIBUTIONS.get(module, module)
        missing = importlib.util.find_spec(module) is None
        found = 'not installed' if missing else _version(package) or 'there'
        yield _row(package, found, 'any', missing, _pip('install', package))


def check_opencv() -> Iterator[CheckResult]:
    """Checks OpenCV, which comes under two names that share their files."""
    there = [name for name in OPENCVS if _version(name)]
    found = ', '.join(f'{name} {_version(name)}' for name in there) or 'not installed'
    fix = _pip('install', '--force-reinstall', '--no-deps', DISTRIBUTIONS['cv2'])
    if there:
        fix = f'{_pip("uninstall", "-y", *there)} && {fix}'
    problem = _try_import('cv2') or len(there) == 2
    yield _row('opencv', found, 'one opencv, as cv2', problem, fix)


def check_mmcv() -> Iterator[CheckResult]:
    """Checks mmcv, and runs one of its operators."""
    (row,) = check_package('mmcv')
    yield row
    works, answer = _run(OPS_SCRIPT) if row.verdict == OK else (False, 'not tried')
    yield _row('mmcv.ops', answer, 'to run', not works, row.fix or _install('mmcv'))


def check_stack() -> Iterator[CheckResult]:
    """Checks mmengine, the patches for it, and the packages on top."""
    yield from check_package('mmengine')
    yield from check_mmcv()
    yield from check_patches()
    for package in ('mmdet', 'mmsegmentation', 'mmrazor'):
        yield from check_package(package)
    yield check_mmpretrain()
    reason = _try_import('mmkd_ext.registry')
    found = f'{__version__}, {"checkout" if BOOTSTRAP.exists() else "installed"}'
    fix = _fix_import('mmkd_ext', reason)
    yield _row('mmkd_ext', found, 'registers with mmengine', reason, fix)


def check_mmpretrain() -> CheckResult:
    """Checks mmpretrain where it is installed; only classifiers need it."""
    found, needed = _version('mmpretrain'), 'mmkd_ext[cls], for classifiers'
    if not found:
        return CheckResult('mmpretrain', 'not installed', needed, INFO)
    reason = _try_import('mmpretrain.models')
    return _row('mmpretrain', found, needed, reason, _pip('install', 'mmkd_ext[cls]'))


def check_patches() -> Iterator[CheckResult]:
    """Applies the patches of `mmkd_ext.compat`, and asks whether they took."""
    reason = ''
    try:
        compat.apply()
    # a broken package may raise anything at all, and each kind is an answer
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
    applied = [patch.name for patch in compat.report() if patch.state == 'applied']
    fix = _fix_import('torch', reason)
    yield _row('patches', ', '.join(applied) or 'none', 'as needed', reason, fix)


def check_devices() -> Iterator[CheckResult]:
    """Shows mmengine's report, and forms a process group with each backend there is."""
    if _try_import('torch', 'mmengine.utils.dl_utils'):
        yield CheckResult('GPU, distributed', 'not tried: no mmengine', 'gloo', INFO)
        return
    torch: Any = importlib.import_module('torch')
    dist: Any = importlib.import_module('torch.distributed')
    report = importlib.import_module('mmengine.utils.dl_utils').collect_env()
    shown = ('CUDA', 'GPU', 'NVCC', 'GCC')
    found = '; '.join(f'{k}: {v}' for k, v in report.items() if k.startswith(shown))
    driver = 'a driver that torch does not see; ' * bool(shutil.which('nvidia-smi'))
    gpu, there = torch.cuda.is_available(), dist.is_available()
    yield CheckResult('GPU', found if gpu else driver + found, 'none', INFO)
    backends = ['gloo'] * (there and dist.is_gloo_available())
    for backend in backends + ['nccl'] * (there and gpu and dist.is_nccl_available()):
        with tempfile.TemporaryDirectory() as folder:
            works, answer = _run(GROUP_SCRIPT, backend, str(Path(folder) / 'store'))
        # a host name that does not resolve is what usually stops gloo
        command = f'{shlex.quote(sys.executable)} -m mmkd_ext.doctor'
        fix = f'GLOO_SOCKET_IFNAME=lo NCCL_SOCKET_IFNAME=lo {command}'
        yield _row(f'distributed: {backend}', answer, 'forms a group', not works, fix)


CHECKS = (check_python, check_base, check_stack, check_devices)


def show(rows: Iterable[CheckResult]) -> bool:
    """Prints each row, then what fixes those that failed; whether none did."""
    fixes: dict[str, list[str]] = {}
    for row in rows:
        text = f'{row.verdict:<5} {row.part:<20} {row.found}  (needed: {row.needed})'
        print(textwrap.fill(text, 100, subsequent_indent=' ' * 27), flush=True)
        if row.verdict == FAIL:
            fixes.setdefault(row.fix, []).append(row.part)
    print('\nFix these, first things first:' if fixes else '\nNo problems found.')
    for fix, parts in fixes.items():
        print(f'\n  # {", ".join(parts)}\n  {fix}')
    return not fixes


def main(argv: Sequence[str] | None = None) -> int:
    """Checks and shows; returns 0 when nothing failed."""
    argparse.ArgumentParser(description='Checks the installed stack.').parse_args(argv)
    return int(not show(row for check in CHECKS for row in check()))


if __name__ == '__main__':
    sys.exit(main())
