#!/usr/bin/env python3
"""Sets up everything this project needs; `make setup` calls it.

    python3 tools/bootstrap.py                  a virtual environment in .venv
    python3 tools/bootstrap.py --venv DIR       the same in DIR, or into the one there
    python tools/bootstrap.py --into-current    into the environment of this python

A torch that the environment brought along is never replaced. mmcv is built from source
once per machine, see `mmcv_wheel.py`. A second call finds a stamp and returns at once.
Only the standard library is used, because nothing else is there yet.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tools'), str(ROOT)]

from mmcv_wheel import (  # noqa: E402  (after the path is set)
    Environment,
    SetupError,
    cached_wheel,
    clock,
    default_jobs,
    probe,
    run_shown,
)

from mmkd_ext.doctor import OPS_SCRIPT  # noqa: E402  (the standard library does)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# the files of requirements/ that are for all; `cls` is an extra of the package, small
# enough that whoever tests has it
BASE = ('stack', 'runtime', 'tests', 'cls')
PYTHONS = ((3, 10), (3, 12))  # torch 2.13 needs 3.10; mmcv's setup.py fails on 3.13
OLDEST_PYTHON = (3, 9)  # for an environment that brings its own torch
OLDEST_TORCH = (2, 1)
STAMP = '.mmkd_ext-setup.json'

# --- requirements and the stamp ----------------------------------------------------


def read_requirements(*names: str) -> tuple[list[str], list[str]]:
    """Returns the lines of requirement files: with what they declare, and without."""
    normal: list[str] = []
    alone: list[str] = []
    for name in names:
        text = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8')
        for line in text.splitlines():
            requirement, _, comment = line.partition('#')
            if requirement.strip():
                kind = alone if comment.strip().startswith('no-deps') else normal
                kind.append(requirement.strip())
    return normal, alone


def pinned(package: str) -> str:
    """Returns the version to which requirements/stack.txt pins ``package``."""
    normal, alone = read_requirements('stack')
    pins = dict(line.split('==') for line in normal + alone if '==' in line)
    if package not in pins:
        raise SetupError(f'requirements/stack.txt does not pin `{package}` with `==`.')
    return pins[package]


def fingerprint(extras: Sequence[str] = ()) -> str:
    """Returns a digest of all that decides what is installed."""
    digest = hashlib.sha256(str(ROOT).encode())
    files = [ROOT / 'requirements' / f'{name}.txt' for name in (*BASE, *extras)]
    for path in (*files, ROOT / 'setup.py', Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_stamp(path: Path) -> dict:
    """Returns what the stamp at ``path`` says; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding='utf-8'))
        if isinstance(content, dict):
            return content
    return {}


def is_ready(prefix: Path, extras: Sequence[str]) -> bool:
    """Whether the environment at ``prefix`` is set up as the checkout wants it."""
    stamp = read_stamp(prefix / STAMP)
    there, site = stamp.get('extras', ()), Path(stamp.get('site', ''))
    return (set(extras) <= set(there) and stamp.get('fingerprint') == fingerprint(there)
            and all((site / name).is_dir() for name in ('torch', 'mmengine', 'mmcv')))


def write_stamp(environment: Environment, extras: Sequence[str], done: bool) -> None:
    """Writes the stamp: who made the environment, and whether it is complete."""
    content = {'owned': environment.owned, 'site': environment.facts['site'],
               'extras': sorted(extras),
               'fingerprint': fingerprint(sorted(extras)) if done else ''}
    stamp = Path(environment.facts['prefix']) / STAMP
    partial = stamp.with_suffix('.part')
    partial.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    os.replace(partial, stamp)


# --- the environment ---------------------------------------------------------------


def choose_python() -> str:
    """Returns a python that the pinned stack runs on, preferably this one."""
    (low, high), here = PYTHONS, tuple(sys.version_info[:2])
    if low <= here <= high:
        return sys.executable
    for version in ('3.11', '3.12', '3.10'):
        found = shutil.which(f'python{version}')
        if found and not subprocess.run([found, '-c', 'import ensurepip, venv'],
                                        capture_output=True, check=False).returncode:
            print(f'      python {here[0]}.{here[1]} does not run the stack; '
                  f'using {found}')
            return found
    raise SetupError(
        f'Python {low[0]}.{low[1]} to {high[0]}.{high[1]} is needed, but '
        f'{sys.executable} is {here[0]}.{here[1]} and no other is on the path. '
        'Name one with `make setup PYTHON=/path/to/python3.11`.')


def make_venv(venv: Path) -> None:
    """Makes a virtual environment at ``venv``, marked as ours."""
    python = choose_python()
    done = subprocess.run([python, '-m', 'venv', str(venv)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        raise SetupError(
            f'{python} cannot make a virtual environment:\n{done.stdout}{done.stderr}\n'
            'On Debian and Ubuntu: `sudo apt install python3-venv`.')
    (venv / STAMP).write_text('{"owned": true}\n', encoding='utf-8')


def check_versions(environment: Environment) -> None:
    """Raises `SetupError` when a foreign environment is too old, or too new."""
    version, torch = tuple(environment.facts['version']), environment.facts['torch']
    who = f'{environment.python} is Python {version[0]}.{version[1]}'
    low = OLDEST_PYTHON if torch else PYTHONS[0]
    if not OLDEST_PYTHON <= version <= PYTHONS[1]:
        raise SetupError(f'{who}; {low[0]}.{low[1]} to {PYTHONS[1][0]}.{PYTHONS[1][1]} '
                         'is needed.')
    if version < low:
        raise SetupError(f'{who} and has no torch; torch {pinned("torch")} needs '
                         f'{low[0]}.{low[1]}. Install a torch of your choice first, or '
                         'use a newer Python.')
    if torch and tuple(int(part) for part in torch.split('.')[:2]) < OLDEST_TORCH:
        raise SetupError(
            f'torch {torch} in {environment.python} is too old: {OLDEST_TORCH[0]}.'
            f'{OLDEST_TORCH[1]} is needed. It is left as it is; upgrade it yourself or '
            'use another environment.')


# --- the steps ---------------------------------------------------------------------


class Installer:
    """Calls pip in one environment, holding on to the torch that is there."""

    def __init__(self, environment: Environment, log: Path) -> None:
        self._python, self._log = str(environment.python), log
        self.held: list[str] = []

    def install(self, *arguments: str) -> None:
        """Runs ``pip install`` with ``arguments`` and what is held as constraint."""
        shown = ('Collecting', 'Downloading', 'Installing', 'Building', 'Using cached')
        with tempfile.TemporaryDirectory() as folder:
            constraints = Path(folder) / 'constraints.txt'
            constraints.write_text('\n'.join([*self.held, '']), encoding='utf-8')
            command = [self._python, '-m', 'pip', 'install',
                       '--disable-pip-version-check', '--progress-bar', 'off',
                       '--constraint', str(constraints), *arguments]
            run_shown(command, lambda line: f'      {line}' * line.startswith(shown),
                      self._log)


def operators_fail(environment: Environment) -> str:
    """Returns why mmcv's operators do not run; nothing when they do."""
    gpu = ['cuda'] if environment.facts['cuda'] else []
    done = subprocess.run([str(environment.python), '-c', OPS_SCRIPT, *gpu], text=True,
                          capture_output=True, check=False, cwd=tempfile.gettempdir())
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return '' if done.returncode == 0 else (lines or [f'status {done.returncode}'])[-1]


def install_mmcv(environment: Environment, installer: Installer, jobs: int) -> None:
    """Installs mmcv with operators unless the right one is there and works."""
    if environment.facts['mmcv'] == pinned('mmcv') and not operators_fail(environment):
        return
    wheel = cached_wheel(environment, pinned('mmcv'), jobs)
    installer.install('--no-deps', '--force-reinstall', str(wheel))
    if reason := operators_fail(environment):
        raise SetupError(
            f"mmcv's operators do not load: {reason}\n"
            f'Delete {wheel.parent} and run this again to build them anew.')


def set_up(environment: Environment, extras: Sequence[str], jobs: int) -> None:
    """Brings everything into ``environment``, step by step."""
    log = Path(environment.facts['prefix']) / 'mmkd_ext-setup.log'
    log.unlink(missing_ok=True)
    installer = Installer(environment, log)
    torch, held = pinned('torch'), environment.facts['torch']
    fits = held is not None and held.partition('+')[0] == torch
    if held is None or (environment.owned and not fits):
        print(f'[1/4] torch {torch} (a large download the first time)', flush=True)
        installer.install(f'torch=={torch}')
        environment = probe(environment.python, environment.owned)
    else:
        other = '' if fits else f' (tested: {torch})'
        print(f'[1/4] torch {held} is there and stays{other}', flush=True)
    installer.held = environment.facts['held']

    normal, alone = read_requirements(*BASE, *extras)
    normal = [line for line in normal if not line.startswith('torch==')]
    alone = [line for line in alone if not line.startswith('mmcv==')]
    print(f'[2/4] {len(normal) + len(alone)} packages of requirements/', flush=True)
    installer.install(*normal)
    installer.install('--no-deps', *alone)
    print(f"[3/4] mmcv {pinned('mmcv')} with operators", flush=True)
    install_mmcv(environment, installer, jobs)
    print('[4/4] mmkd_ext, editable', flush=True)
    installer.install('--no-deps', '--no-build-isolation', '--editable', str(ROOT))


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument('--venv', type=Path, default=ROOT / '.venv', metavar='DIR',
                       help='virtual environment to make or to install into')
    where.add_argument('--into-current', action='store_true',
                       help='install into the environment of this python')
    files = {path.stem for path in (ROOT / 'requirements').glob('*.txt')}
    parser.add_argument('--extra', action='append', default=[],
                        choices=sorted(files - {'stack', 'runtime', 'tests'}),
                        help='also install this file of requirements/')
    parser.add_argument('--docs', dest='extra', action='append_const', const='docs',
                        help='the same as --extra docs, for `make docs`')
    parser.add_argument('--force', action='store_true',
                        help='go through all steps even if the stamp is fresh')
    parser.add_argument('--jobs', type=int, default=0, metavar='N',
                        help='files of mmcv to compile at once (default: cores)')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Does what the command line asks for."""
    venv = args.venv.expanduser().absolute()
    scripts = venv / ('Scripts' if os.name == 'nt' else 'bin')
    prefix, python = venv, scripts / 'python'
    if args.into_current:
        prefix, python = Path(sys.prefix), Path(sys.executable)
    wanted = {*args.extra, *read_stamp(prefix / STAMP).get('extras', ())}
    extras = sorted(wanted - {*BASE})
    if not args.force and is_ready(prefix, extras):
        return
    started = time.monotonic()
    if not python.exists():
        print(f'[0/4] virtual environment {prefix}', flush=True)
        make_venv(prefix)
    environment = probe(python, bool(read_stamp(prefix / STAMP).get('owned')))
    check_versions(environment)
    write_stamp(environment, extras, done=False)
    set_up(environment, extras, args.jobs or default_jobs())
    write_stamp(environment, extras, done=True)
    print(f'Ready after {clock(time.monotonic() - started)}. Next: make demo, make '
          f'test, or: source {python.parent}/activate')


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the set-up and returns the exit status."""
    try:
        run(parse_args(argv))
    except SetupError as error:
        print(f'\nSet-up stopped. {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nSet-up interrupted; call it again to go on.', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
