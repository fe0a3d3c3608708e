"""Looks at every part of the stack and says what to do about each that is not well.

    python -m mmkd_ext.doctor

prints a table, found / needed / verdict, then for each failure the command that mends
it. The exit status is 0 only when all is well; having no GPU is well. Parts are not
only looked up but used: an operator of mmcv runs, mmrazor is really imported, a
process group is really formed. Nothing but the standard library is needed to start.
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

__all__ = ['CHECKS', 'NEEDED', 'Finding', 'examine', 'main', 'show']

ROOT = Path(__file__).resolve().parents[1]

OK, INFO, FAIL = 'ok', 'info', 'FAIL'

# distribution: oldest that works, newest that works or None, version that is tested
NEEDED: dict[str, tuple[str, str | None, str]] = {
    'torch': ('2.1', None, '2.13.0'),
    'mmengine': ('0.10', '0.10.99', '0.10.7'),
    'mmcv': ('2.0.1', '2.1.0', '2.1.0'),
    'mmdet': ('3.0', '3.3.99', '3.3.0'),
    'mmsegmentation': ('1.0', '1.2.99', '1.2.2'),
    'mmrazor': ('1.0.0', '1.0.99', '1.0.0'),
}

# what somebody needs without declaring it: module, distribution, who
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
kept = nms(boxes, scores, 0.5)[1].tolist()
if kept != [0, 2]:
    raise SystemExit(f'nms kept {kept}, not [0, 2]')
if torch.cuda.is_available():
    if get_compiling_cuda_version() == 'not available':
        raise SystemExit('built without its GPU operators, but there is a GPU')
    kept = nms(boxes.cuda(), scores.cuda(), 0.5)[1].tolist()
    if kept != [0, 2]:
        raise SystemExit(f'nms on the GPU kept {kept}, not [0, 2]')
print('ran nms on CPU' + (' and GPU' if torch.cuda.is_available() else ''))
"""

GROUP_SCRIPT = """
import sys, torch
import torch.distributed as dist
backend, path = sys.argv[1:]
store = dist.FileStore(path, 1)
dist.init_process_group(backend, store=store, rank=0, world_size=1)
one = torch.ones(1, device='cuda' if backend == 'nccl' else 'cpu')
dist.all_reduce(one)
dist.destroy_process_group()
"""


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Args:
        part: What was looked at.
        found: What is there.
        needed: What has to be there.
        verdict: ``'ok'``, ``'info'`` or ``'FAIL'``.
        mend: Command that mends a failure.
    """

    part: str
    found: str
    needed: str
    verdict: str = OK
    mend: str = ''


# --- commands ----------------------------------------------------------------------


def _pip(*arguments: str) -> str:
    return shlex.join([sys.executable, '-m', 'pip', *arguments])


def _rebuild_mmcv() -> str:
    bootstrap = ROOT / 'tools' / 'bootstrap.py'
    if bootstrap.exists():
        return shlex.join(
            [sys.executable, str(bootstrap), '--into-current', '--force']
        )
    command = _pip('install', '--no-deps', '--no-build-isolation', '--no-cache-dir',
                   '--force-reinstall', '--no-binary', 'mmcv',
                   f'mmcv=={NEEDED["mmcv"][2]}')
    return f'MMCV_WITH_OPS=1 {command}'


def _install(package: str) -> str:
    if package == 'mmkd_ext':
        return _pip('install', '--force-reinstall', '--no-deps', 'mmkd_ext')
    if package == 'mmcv':
        return _rebuild_mmcv()
    pin = f'{package}=={NEEDED[package][2]}'
    if package == 'torch':
        return _pip('install', pin)
    # their own requirements would bring the opencv-python that needs libGL
    return _pip('install', '--no-deps', pin)


# --- looking -----------------------------------------------------------------------


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


def check_python() -> Iterator[Finding]:
    """Looks at the interpreter."""
    version = platform.python_version()
    fits = (3, 9) <= sys.version_info[:2] <= (3, 12)
    yield Finding('python', f'{version} ({sys.executable})', '3.9 to 3.12',
                  OK if fits else FAIL,
                  '' if fits else 'make setup PYTHON=python3.11')


def check_compiler() -> Iterator[Finding]:
    """Looks for a C++ compiler, which only building mmcv needs."""
    name = shlex.split(os.environ.get('CXX') or 'c++')[0]
    path = shutil.which(name) or shutil.which('g++')
    if path:
        done = subprocess.run([path, '--version'], capture_output=True, text=True,
                              check=False)
        first = (done.stdout.splitlines() or [''])[0]
        yield Finding('C++ compiler', first or path, 'to build mmcv')
    elif _version('mmcv'):
        yield Finding('C++ compiler', 'none', 'to build mmcv, which is done', INFO)
    else:
        yield Finding('C++ compiler', 'none', 'to build mmcv', FAIL,
                      'sudo apt install g++')


def check_torch() -> Iterator[Finding]:
    """Looks at torch."""
    yield _package('torch', 'torch')


def _package(package: str, *modules: str) -> Finding:
    """Looks at a package with a version to meet, and imports ``modules``."""
    low, high, tested = NEEDED[package]
    needed = f'{low} or newer, tested {tested}' if high is None else tested
    version = _version(package)
    if version is None:
        return Finding(package, 'not installed', needed, FAIL, _install(package))
    numbers = _numbers(version)
    if numbers < _numbers(low) or (high is not None and numbers > _numbers(high)):
        return Finding(package, f'{version} does not work here', needed, FAIL,
                       _install(package))
    reason = _try_import(*modules)
    if reason:
        return Finding(package, f'{version}; {reason}', needed, FAIL,
                       _cure(package, reason))
    return Finding(package, version, needed)


def _cure(package: str, reason: str) -> str:
    """Returns what to do about an installed package that cannot be imported."""
    missing = re.search(r"No module named '([^'.]+)'", reason)
    if missing and missing[1] in NEEDED:
        return _install(missing[1])
    if missing and missing[1] != package:
        return _pip('install', DISTRIBUTIONS.get(missing[1], missing[1]))
    if (ROOT / 'tools' / 'bootstrap.py').exists():
        return _rebuild_mmcv()  # goes through the whole stack
    return _install(package)


def check_numpy() -> Iterator[Finding]:
    """Looks at numpy."""
    reason = _try_import('numpy')
    found, needed = _version('numpy'), '1.22 or newer, 2 included'
    if found is None:
        yield Finding('numpy', 'not installed', needed, FAIL, _pip('install', 'numpy'))
    else:
        fits = not reason and _numbers(found) >= (1, 22)
        yield Finding('numpy', f'{found}; {reason}' if reason else found, needed,
                      OK if fits else FAIL,
                      '' if fits else _pip('install', '--upgrade', 'numpy'))


def check_setuptools() -> Iterator[Finding]:
    """Looks at setuptools, or rather for the pkg_resources inside it."""
    found = _version('setuptools')
    reason = _try_import('pkg_resources')
    needed = 'below 81: mmengine and mmcv import pkg_resources'
    yield Finding('setuptools', f'{found or "not installed"}'
                  + (f'; {reason}' if reason else ''), needed,
                  FAIL if reason else OK,
                  _pip('install', 'setuptools<81') if reason else '')


def check_opencv() -> Iterator[Finding]:
    """Looks at OpenCV, which comes under two names that share their files."""
    names = [name for name in ('opencv-python', 'opencv-python-headless')
             if _version(name)]
    reason = _try_import('cv2')
    needed = 'one opencv, as cv2'
    found = ', '.join(f'{name} {_version(name)}' for name in names) or 'not installed'
    if len(names) == 2 or reason:
        headless = _pip('install', '--force-reinstall', '--no-deps',
                        'opencv-python-headless<5')
        mend = (f'{_pip("uninstall", "-y", *names)} && {headless}' if names
                else headless)
        yield Finding('opencv', f'{found}{"; " + reason if reason else ""}', needed,
                      FAIL, mend)
    else:
        yield Finding('opencv', found, needed)


def check_undeclared() -> Iterator[Finding]:
    """Looks for packages that others need without saying so."""
    for module, package, who in UNDECLARED:
        there = importlib.util.find_spec(module) is not None
        yield Finding(package, (_version(package) or 'there') if there
                      else 'not installed', f'any, for {who}', OK if there else FAIL,
                      '' if there else _pip('install', package))


def check_mmengine() -> Iterator[Finding]:
    """Looks at mmengine."""
    yield _package('mmengine', 'mmengine', 'mmengine.runner')


def check_mmcv() -> Iterator[Finding]:
    """Looks at mmcv, and runs one of its operators."""
    row = _package('mmcv', 'mmcv')
    yield row
    needed = 'operators that run'
    if row.verdict == FAIL:
        yield Finding('mmcv.ops', 'not tried', needed, FAIL, row.mend)
        return
    works, answer = _run(OPS_SCRIPT)
    yield Finding('mmcv.ops', answer, needed, OK if works else FAIL,
                  '' if works else _rebuild_mmcv())


def check_patches() -> Iterator[Finding]:
    """Applies the patches of `mmkd_ext.compat`, and asks whether they took."""
    reason = ''
    try:
        compat.apply()
    # a broken package may raise anything at all, and each kind is an answer
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
    applied = [row.name for row in compat.report() if row.state == 'applied']
    found = reason or (', '.join(applied) or 'none needed')
    yield Finding('patches', found, 'what this torch needs', FAIL if reason else OK,
                  _cure('torch', reason) if reason else '')


def check_mmdet() -> Iterator[Finding]:
    """Looks at mmdet and imports its models."""
    yield _package('mmdet', 'mmdet.models')


def check_mmseg() -> Iterator[Finding]:
    """Looks at mmseg and imports its models."""
    yield _package('mmsegmentation', 'mmseg.models')


def check_mmrazor() -> Iterator[Finding]:
    """Looks at mmrazor and imports its models."""
    yield _package('mmrazor', 'mmrazor.models')


def check_gpu() -> Iterator[Finding]:
    """Looks for GPUs; a machine without one is well."""
    torch = _torch()
    if torch is None:
        yield Finding('GPU', 'not tried: no torch', 'none', INFO)
    elif torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(i)
                 for i in range(torch.cuda.device_count())]
        found = ', '.join(f'{p.name} {p.total_memory / 2**30:.0f} GiB' for p in names)
        yield Finding('GPU', f'{found}, CUDA {torch.version.cuda}', 'none')
    elif shutil.which('nvidia-smi'):
        kind = torch.version.cuda or 'a CPU build'
        yield Finding('GPU', f'a driver, but torch ({kind}) does not see it',
                      'none', INFO)
    else:
        yield Finding('GPU', 'none, all runs on the CPU', 'none', INFO)


def check_distributed() -> Iterator[Finding]:
    """Forms a process group with each backend that is there."""
    torch = _torch()
    if torch is None:
        yield Finding('distributed', 'not tried: no torch', 'gloo', INFO)
        return
    dist = importlib.import_module('torch.distributed')
    if not dist.is_available():
        yield Finding('distributed', 'torch was built without it: one process only',
                      'gloo', INFO)
        return
    backends = ['gloo'] if dist.is_gloo_available() else []
    if torch.cuda.is_available() and dist.is_nccl_available():
        backends.append('nccl')
    for backend in backends:
        with tempfile.TemporaryDirectory() as folder:
            works, answer = _run(GROUP_SCRIPT, backend, str(Path(folder) / 'store'))
        # a host name that does not resolve is what usually stops gloo
        mend = '' if works else 'GLOO_SOCKET_IFNAME=lo NCCL_SOCKET_IFNAME=lo ' + \
            shlex.join([sys.executable, '-m', 'mmkd_ext.doctor'])
        yield Finding(f'distributed: {backend}',
                      'formed a group' if works else answer, 'forms a group',
                      OK if works else FAIL, mend)


def _torch() -> Any:
    return None if _try_import('torch') else sys.modules['torch']


def check_ourselves() -> Iterator[Finding]:
    """Imports the registry of this package, and looks for its configs."""
    reason = _try_import('mmkd_ext.registry')
    where = 'checkout' if (ROOT / 'setup.py').exists() else 'installed'
    found = f'{__version__}, {where}' + (f'; {reason}' if reason else '')
    yield Finding('mmkd_ext', found, 'registers with mmengine',
                  FAIL if reason else OK,
                  _cure('mmkd_ext', reason) if reason else '')


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_compiler,
    check_torch,
    check_numpy,
    check_setuptools,
    check_opencv,
    check_undeclared,
    check_mmengine,
    check_mmcv,
    check_patches,
    check_mmdet,
    check_mmseg,
    check_mmrazor,
    check_ourselves,
    check_gpu,
    check_distributed,
)


def examine(said: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """Runs all checks.

    Args:
        said: Called with the name of each check before it runs.

    Returns:
        All findings, in the order of the table.
    """
    findings: list[Finding] = []
    for check in CHECKS:
        said(check.__name__.removeprefix('check_'))
        findings.extend(check())
    return findings


# --- showing -----------------------------------------------------------------------


def show(findings: Sequence[Finding]) -> None:
    """Prints the table, and the commands that mend what failed."""
    if importlib.util.find_spec('rich') is not None:
        _show_rich(findings)
    else:
        _show_plain(findings)
    failures = [row for row in findings if row.verdict == FAIL]
    if not failures:
        print('All is well.')
        return
    print(f'{len(failures)} part(s) need mending, first things first:')
    commands: dict[str, list[str]] = {}
    for row in failures:
        commands.setdefault(row.mend, []).append(row.part)
    for mend, parts in commands.items():
        print(f'\n  # {", ".join(parts)}\n  {mend}')


def _show_rich(findings: Sequence[Finding]) -> None:
    console_module = importlib.import_module('rich.console')
    table_module = importlib.import_module('rich.table')
    markup = importlib.import_module('rich.markup')
    table = table_module.Table(title='mmkd_ext doctor', title_justify='left')
    for name in ('part', 'found', 'needed', 'verdict'):
        table.add_column(name, overflow='fold')
    colour = {OK: 'green', INFO: 'cyan', FAIL: 'bold red'}
    for row in findings:
        cells = [markup.escape(cell) for cell in (row.part, row.found, row.needed)]
        table.add_row(*cells, f'[{colour[row.verdict]}]{row.verdict}[/]')
    # a pipe has no width; wide enough that no cell of a healthy stack is folded
    width = None if sys.stdout.isatty() else 120
    console_module.Console(width=width).print(table)


def _show_plain(findings: Sequence[Finding]) -> None:
    print('mmkd_ext doctor')
    for row in findings:
        line = f'{row.verdict:<5} {row.part:<20} {row.found}  (needed: {row.needed})'
        print(textwrap.fill(line, 100, subsequent_indent=' ' * 27))
    print()


def main(argv: Sequence[str] | None = None) -> int:
    """Examines and shows; returns 0 only when all is well."""
    parser = argparse.ArgumentParser(
        description='Looks at every part of the stack and says how to mend it.')
    parser.parse_args(argv)
    live = sys.stdout.isatty()

    def said(name: str) -> None:
        if live:
            print(f'\r\033[Kchecking {name} ...', end='', flush=True)

    findings = examine(said)
    if live:
        print('\r\033[K', end='')
    show(findings)
    return int(any(row.verdict == FAIL for row in findings))


if __name__ == '__main__':
    sys.exit(main())
