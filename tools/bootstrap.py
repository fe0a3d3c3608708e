#!/usr/bin/env python3
"""Sets up everything this project needs; `make setup` calls it.

    python3 tools/bootstrap.py                  a virtual environment in .venv
    python3 tools/bootstrap.py --venv DIR       the same in DIR, or into the one there
    python tools/bootstrap.py --into-current    into the environment of this python

A torch that the environment brought along is never replaced. mmcv has no wheel with
operators for today's torch, so one is built from source, once per machine: it is
kept in a cache outside the checkout, under a key of everything that it depends on
(`$MMKD_CACHE`, else `$XDG_CACHE_HOME/mmkd_ext`, else `~/.cache/mmkd_ext`).

A second call finds a stamp and returns at once. Only the standard library is used,
because nothing else is there yet.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where two builds at once stay possible
    fcntl = None  # type: ignore[assignment]  # None is tested for below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ((3, 10), (3, 12))  # torch 2.13 needs 3.10; mmcv's setup.py fails on 3.13
OLDEST_PYTHON = (3, 9)  # for an environment that brings its own torch
OLDEST_TORCH = (2, 1)
STAMP = '.mmkd_ext-setup.json'

PROBE = """
import json, importlib.metadata as md, pathlib, sys, sysconfig
out = {'version': list(sys.version_info[:2]), 'prefix': sys.prefix,
       'abi': 'cp%d%d' % sys.version_info[:2] + getattr(sys, 'abiflags', ''),
       'platform': sysconfig.get_platform(),
       'site': sysconfig.get_path('purelib'),
       'python_h': (pathlib.Path(sysconfig.get_path('include')) / 'Python.h').exists(),
       'torch': None, 'cuda': None, 'has_nvcc': False, 'held': [], 'mmcv': None}
for name in ('torch', 'torchvision', 'torchaudio'):
    try:
        out['held'].append('%s==%s' % (name, md.version(name)))
    except md.PackageNotFoundError:
        pass
try:
    out['mmcv'] = md.version('mmcv')
except md.PackageNotFoundError:
    pass
try:
    import torch
except ImportError:
    torch = None
if torch is not None:
    out['torch'] = torch.__version__
    import os
    if torch.cuda.is_available() or os.environ.get('FORCE_CUDA', '0') == '1':
        out['cuda'] = torch.version.cuda or torch.version.hip
        try:
            from torch.utils.cpp_extension import CUDA_HOME, ROCM_HOME
            out['has_nvcc'] = bool(CUDA_HOME or ROCM_HOME)
        except (ImportError, OSError):
            pass
print('PROBE' + json.dumps(out))
"""

CHECK_OPS = """
import sys, torch
from mmcv.ops import get_compiling_cuda_version, nms
boxes = torch.tensor([[0., 0., 4., 4.], [0., 0., 4., 3.9], [8., 8., 9., 9.]])
_, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)
if kept.tolist() != [0, 2]:
    sys.exit('nms kept %s, not [0, 2]' % kept.tolist())
if sys.argv[1:] == ['cuda'] and get_compiling_cuda_version() == 'not available':
    sys.exit('mmcv was built without its GPU operators')
"""


class SetupError(Exception):
    """Something that the person at the keyboard has to do."""


@dataclass(frozen=True)
class Environment:
    """What `PROBE` found out about the python that is to be set up.

    Args:
        python: Its path.
        owned: Whether it is a virtual environment that this script made.
        facts: The answers of `PROBE`.
    """

    python: Path
    owned: bool
    facts: dict

    @property
    def stamp(self) -> Path:
        """Returns where the stamp of a finished set-up lies."""
        return Path(self.facts['prefix']) / STAMP

    def key(self, mmcv: str) -> str:
        """Returns the name of the cache folder for a wheel of this environment."""
        facts = self.facts
        device = f"cuda{facts['cuda']}" if facts['cuda'] else 'cpu'
        parts = (f'mmcv-{mmcv}', f"torch-{facts['torch']}", facts['abi'],
                 facts['platform'], device)
        return '_'.join(re.sub(r'[^A-Za-z0-9._+-]', '-', part) for part in parts)


# --- what is said while it works ---------------------------------------------------


class Progress:
    """One line that is rewritten on a terminal, and printed now and then elsewhere."""

    def __init__(self, every: float = 20.0) -> None:
        self._live = sys.stdout.isatty()
        self._every = every
        self._last = float('-inf')

    def show(self, text: str) -> None:
        """Shows ``text`` as the present state."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write('\r' + text[:width].ljust(width))
            sys.stdout.flush()
        elif time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            print(text, flush=True)

    def close(self) -> None:
        """Clears the line, so that what follows starts on a fresh one."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write('\r' + ' ' * width + '\r')
            sys.stdout.flush()


def clock(seconds: float) -> str:
    """Returns ``seconds`` as ``m:ss``."""
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


def build_status(line: str, started: float, now: float) -> str | None:
    """Returns what a line of ninja's output says about a build, or None.

    Args:
        line: Such as ``[12/77] c++ -MMD ...``.
        started: When the build began, in seconds.
        now: The present, in seconds.
    """
    match = re.match(r'\s*\[(\d+)/(\d+)\]', line)
    if match is None:
        return None
    done, total = int(match[1]), int(match[2])
    spent = now - started
    left = f', about {clock(spent / done * (total - done))} left' if done else ''
    return f'      mmcv: {done}/{total} files compiled, {clock(spent)}{left}'


def run_shown(
    command: Sequence[str],
    on_line: Callable[[str], None],
    log: Path,
    env: dict[str, str] | None = None,
) -> None:
    """Runs ``command``, hands its output line by line to ``on_line`` and to ``log``.

    Raises:
        SetupError: The command failed; shows its last lines.
    """
    tail: deque[str] = deque(maxlen=30)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('a', encoding='utf-8', errors='replace') as file:
        file.write(f'$ {shlex.join(command)}\n')
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding='utf-8', errors='replace', env=env, start_new_session=True,
        )
        try:
            for line in process.stdout or ():
                file.write(line)
                tail.append(line.rstrip()[:400])
                on_line(line.rstrip())
            status = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # compilers are its children
            process.wait()
            raise
    if status != 0:
        shown = '\n'.join(f'    {line}' for line in tail)
        raise SetupError(
            f'This command failed with status {status}:\n    {shlex.join(command)}\n'
            f'Its last lines (all of them: {log}):\n{shown}'
        )


# --- requirements ------------------------------------------------------------------


def read_requirements(*names: str) -> tuple[list[str], list[str]]:
    """Returns the lines of requirement files: with what they declare, and without."""
    normal: list[str] = []
    alone: list[str] = []
    for name in names:
        text = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8')
        for line in text.splitlines():
            requirement, _, comment = line.partition('#')
            requirement = requirement.strip()
            if requirement:
                no_deps = comment.strip().startswith('no-deps')
                (alone if no_deps else normal).append(requirement)
    return normal, alone


def pinned(package: str) -> str:
    """Returns the version to which requirements/stack.txt pins ``package``."""
    normal, alone = read_requirements('stack')
    for line in normal + alone:
        name, _, version = line.partition('==')
        if name == package:
            return version
    raise SetupError(f'requirements/stack.txt does not pin `{package}` with `==`.')


def fingerprint(extras: Sequence[str] = ()) -> str:
    """Returns a digest of all that decides what is installed."""
    digest = hashlib.sha256(str(ROOT).encode())
    names = ['stack', 'runtime', 'tests', *extras]
    files = [ROOT / 'requirements' / f'{name}.txt' for name in names]
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
    if not set(extras) <= set(stamp.get('extras', ())):
        return False
    if stamp.get('fingerprint') != fingerprint(stamp.get('extras', ())):
        return False
    site = Path(stamp.get('site', ''))
    return all((site / name).is_dir() for name in ('torch', 'mmengine', 'mmcv'))


def write_stamp(environment: Environment, extras: Sequence[str], done: bool) -> None:
    """Writes the stamp: who made the environment, and whether it is complete."""
    content = {'owned': environment.owned, 'site': environment.facts['site'],
               'extras': sorted(extras),
               'fingerprint': fingerprint(sorted(extras)) if done else ''}
    partial = environment.stamp.with_suffix('.part')
    partial.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    os.replace(partial, environment.stamp)


# --- the environment ---------------------------------------------------------------


def scripts_dir(venv: Path) -> Path:
    """Returns the folder of a virtual environment that holds its python."""
    return venv / ('Scripts' if os.name == 'nt' else 'bin')


def choose_python() -> str:
    """Returns a python that the pinned stack runs on, preferably this one."""
    (low, high), here = PYTHONS, tuple(sys.version_info[:2])
    if low <= here <= high:
        return sys.executable
    for version in ('3.11', '3.12', '3.10'):
        found = shutil.which(f'python{version}')
        works = found and subprocess.run(
            [found, '-c', 'import ensurepip, venv'], capture_output=True, check=False
        ).returncode == 0
        if found and works:
            print(f'      python {here[0]}.{here[1]} does not run the stack; '
                  f'using {found}')
            return found
    raise SetupError(
        f'Python {low[0]}.{low[1]} to {high[0]}.{high[1]} is needed, but '
        f'{sys.executable} is {here[0]}.{here[1]} and no other is on the path. '
        f'Name one with `make setup PYTHON=/path/to/python3.11`.'
    )


def make_venv(venv: Path) -> None:
    """Makes a virtual environment at ``venv``, marked as ours."""
    python = choose_python()
    done = subprocess.run([python, '-m', 'venv', str(venv)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        raise SetupError(
            f'{python} cannot make a virtual environment:\n{done.stdout}'
            f'{done.stderr}\nOn Debian and Ubuntu: `sudo apt install python3-venv`.'
        )
    (venv / STAMP).write_text('{"owned": true}\n', encoding='utf-8')


def probe(python: Path, owned: bool) -> Environment:
    """Returns what is known about ``python``."""
    done = subprocess.run([str(python), '-c', PROBE], capture_output=True, text=True,
                          check=False)
    for line in done.stdout.splitlines():
        if line.startswith('PROBE'):
            return Environment(python, owned, json.loads(line[len('PROBE'):]))
    raise SetupError(f'{python} does not start, or its torch does not:\n'
                     f'{done.stdout}{done.stderr}')


def check_versions(environment: Environment) -> None:
    """Raises `SetupError` when a foreign environment is too old, or too new."""
    version = tuple(environment.facts['version'])
    shown = f'{version[0]}.{version[1]}'
    if not OLDEST_PYTHON <= version <= PYTHONS[1]:
        raise SetupError(
            f'{environment.python} is Python {shown}; {OLDEST_PYTHON[0]}.'
            f'{OLDEST_PYTHON[1]} to {PYTHONS[1][0]}.{PYTHONS[1][1]} is needed.'
        )
    torch = environment.facts['torch']
    if torch is None:
        if version < PYTHONS[0]:
            raise SetupError(
                f'{environment.python} is Python {shown} and has no torch; torch '
                f"{pinned('torch')} needs {PYTHONS[0][0]}.{PYTHONS[0][1]}. Install a "
                f'torch of your choice first, or use a newer Python.'
            )
        return
    found = tuple(int(part) for part in torch.split('.')[:2])
    if found < OLDEST_TORCH:
        raise SetupError(
            f'torch {torch} in {environment.python} is too old: '
            f'{OLDEST_TORCH[0]}.{OLDEST_TORCH[1]} is needed. It is left as it is; '
            f'upgrade it yourself, or use another environment.'
        )


# --- installing --------------------------------------------------------------------


class Installer:
    """Calls pip in one environment, holding on to the torch that is there."""

    def __init__(self, environment: Environment, log: Path) -> None:
        self._python = str(environment.python)
        self._log = log
        self.held: list[str] = []

    def install(self, *arguments: str) -> None:
        """Runs ``pip install`` with ``arguments`` and what is held as constraint."""
        progress = Progress()

        def on_line(line: str) -> None:
            if line.lstrip().startswith(('Collecting', 'Downloading', 'Installing',
                                         'Building', 'Using cached')):
                progress.show(f'      {line.strip()}')

        with tempfile.TemporaryDirectory() as folder:
            constraints = Path(folder) / 'constraints.txt'
            constraints.write_text('\n'.join([*self.held, '']), encoding='utf-8')
            command = [self._python, '-m', 'pip', 'install',
                       '--disable-pip-version-check', '--progress-bar', 'off',
                       '--constraint', str(constraints), *arguments]
            try:
                run_shown(command, on_line, self._log)
            finally:
                progress.close()


def cache_dir() -> Path:
    """Returns the folder, outside any checkout, for what is built once."""
    if os.environ.get('MMKD_CACHE'):
        return Path(os.environ['MMKD_CACHE']).expanduser()
    base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return Path(base).expanduser() / 'mmkd_ext'


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on the file ``path``; waits for another holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a') as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                print('      another process is building the same wheel; waiting '
                      'for it', flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find_wheel(folder: Path) -> Path | None:
    """Returns the sound mmcv wheel in ``folder``; deletes unsound ones."""
    for wheel in sorted(folder.glob('mmcv-*.whl')):
        try:
            check_wheel(wheel)
        except SetupError as error:
            print(f'      {error} Building it again.')
            wheel.unlink()
        else:
            return wheel
    return None


def check_wheel(wheel: Path) -> None:
    """Raises `SetupError` unless ``wheel`` is whole and holds the operators."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        raise SetupError(f'{wheel} cannot be read ({error}).') from None
    if damaged:
        raise SetupError(f'{wheel} is damaged at `{damaged}`.')
    if not any(re.match(r'mmcv/_ext\..*(so|pyd|dylib)$', name) for name in names):
        raise SetupError(f'{wheel} was built without the operators (`mmcv._ext`).')


def check_compiler(environment: Environment) -> None:
    """Raises `SetupError` when something that building mmcv needs is not there."""
    compiler = shlex.split(os.environ.get('CXX') or 'c++')[0]
    if not (shutil.which(compiler) or shutil.which('g++')):
        raise SetupError(
            f'No C++ compiler: `{compiler}` is not on the path, and mmcv must be built '
            'from source for this torch. Install one and run this again:\n'
            '    Debian, Ubuntu:  sudo apt install g++\n'
            '    Fedora, RHEL:    sudo dnf install gcc-c++\n'
            '    conda:           conda install -c conda-forge cxx-compiler\n'
            '    macOS:           xcode-select --install\n'
            '    cluster:         module load gcc\n'
            'or name it: CXX=/path/to/g++ make setup'
        )
    if not environment.facts['python_h']:
        version = '.'.join(str(part) for part in environment.facts['version'])
        raise SetupError(
            f'The headers of Python {version} (`Python.h`) are missing, which mmcv '
            'needs to be built.\n'
            f'    Debian, Ubuntu:  sudo apt install python{version}-dev\n'
            f'    Fedora, RHEL:    sudo dnf install python{version}-devel'
        )
    if environment.facts['cuda'] and not environment.facts['has_nvcc']:
        raise SetupError(
            f"torch sees a GPU, but the compiler of CUDA {environment.facts['cuda']} "
            '(`nvcc`) is not found. Load or install that CUDA toolkit and set '
            'CUDA_HOME; or build for the CPU only: CUDA_VISIBLE_DEVICES= make setup'
        )


def default_jobs() -> int:
    """Returns how many files to compile at once: cores, as far as memory goes."""
    cores = (len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity')
             else os.cpu_count() or 1)
    try:
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, OSError, ValueError):
        return cores
    return max(1, min(cores, int(memory / 1.5e9)))  # a file takes up to 1.2 GB


def wheel_command(environment: Environment, mmcv: str, folder: Path) -> list[str]:
    """Returns the command that builds mmcv's wheel into ``folder``."""
    # Without build isolation, because an isolated build sees no torch and silently
    # leaves the operators out. Without pip's cache, because pip files a wheel that it
    # built under the name of the sdist only, whatever torch it was built against.
    return [str(environment.python), '-m', 'pip', 'wheel', f'mmcv=={mmcv}', '-v',
            '--no-deps', '--no-build-isolation', '--no-binary', 'mmcv',
            '--no-cache-dir', '--disable-pip-version-check', '-w', str(folder)]


def cached_wheel(environment: Environment, jobs: int) -> Path:
    """Returns a wheel of mmcv for ``environment``; builds it where there is none."""
    mmcv = pinned('mmcv')
    folder = cache_dir() / 'wheels' / environment.key(mmcv)
    wheel = find_wheel(folder)
    if wheel is None:
        with locked(folder.with_name(folder.name + '.lock')):
            wheel = find_wheel(folder) or build_wheel(environment, mmcv, folder, jobs)
    return wheel


def build_wheel(environment: Environment, mmcv: str, folder: Path, jobs: int) -> Path:
    """Builds mmcv's wheel and puts it into ``folder`` in one move."""
    check_compiler(environment)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / 'build.log'
    print(f'      building mmcv {mmcv} with operators, {jobs} at a time: 10 to 20 '
          f'minutes on 2 cores,\n      once for this machine; log: {log}', flush=True)
    env = dict(os.environ, MMCV_WITH_OPS='1', MAX_JOBS=str(jobs))
    env['PATH'] = os.pathsep.join(  # torch looks for ninja on the path
        [str(environment.python.parent), env.get('PATH', '')])
    started, progress = time.monotonic(), Progress()

    def on_line(line: str) -> None:
        status = build_status(line, started, time.monotonic())
        if status:
            progress.show(status)

    with tempfile.TemporaryDirectory(prefix='build-', dir=folder.parent) as scratch:
        try:
            command = wheel_command(environment, mmcv, Path(scratch))
            run_shown(command, on_line, log, env)
        finally:
            progress.close()
        built = next(Path(scratch).glob('mmcv-*.whl'), None)
        if built is None:
            raise SetupError(f'The build of mmcv left no wheel; see {log}.')
        check_wheel(built)
        wheel = folder / built.name
        os.replace(built, wheel)
    print(f'      built in {clock(time.monotonic() - started)}: {wheel}')
    return wheel


def operators_fail(environment: Environment) -> str:
    """Returns why mmcv's operators do not run; nothing when they do."""
    done = subprocess.run(
        [str(environment.python), '-c', CHECK_OPS,
         *(['cuda'] if environment.facts['cuda'] else [])],
        capture_output=True, text=True, check=False, cwd=tempfile.gettempdir(),
    )
    if done.returncode == 0:
        return ''
    return (done.stderr.strip() or done.stdout.strip()).rpartition('\n')[2]


def install_mmcv(environment: Environment, installer: Installer, jobs: int) -> None:
    """Installs mmcv with operators unless the right one is there and works."""
    if environment.facts['mmcv'] == pinned('mmcv') and not operators_fail(environment):
        return
    wheel = cached_wheel(environment, jobs)
    installer.install('--no-deps', '--force-reinstall', str(wheel))
    reason = operators_fail(environment)
    if reason:
        raise SetupError(
            f"mmcv's operators do not load: {reason}\n"
            f'Delete {wheel.parent} and run this again to build them anew.'
        )


def set_up(environment: Environment, extras: Sequence[str], jobs: int) -> Environment:
    """Brings everything into ``environment``, step by step."""
    log = environment.stamp.with_name('mmkd_ext-setup.log')
    log.unlink(missing_ok=True)
    installer = Installer(environment, log)
    steps = 4
    torch = pinned('torch')
    held = environment.facts['torch']
    if held is None or (environment.owned and held.partition('+')[0] != torch):
        print(f'[1/{steps}] torch {torch} (a large download the first time)',
              flush=True)
        installer.install(f'torch=={torch}')
        environment = probe(environment.python, environment.owned)
    else:
        other = '' if held.partition('+')[0] == torch else f' (tested: {torch})'
        print(f'[1/{steps}] torch {held} is there and stays{other}', flush=True)
    installer.held = environment.facts['held']

    normal, alone = read_requirements('stack', 'runtime', 'tests', *extras)
    normal = [line for line in normal if not line.startswith('torch==')]
    alone = [line for line in alone if not line.startswith('mmcv==')]
    print(f'[2/{steps}] {len(normal) + len(alone)} packages of requirements/',
          flush=True)
    installer.install(*normal)
    installer.install('--no-deps', *alone)

    print(f"[3/{steps}] mmcv {pinned('mmcv')} with operators", flush=True)
    install_mmcv(environment, installer, jobs)

    print(f'[4/{steps}] mmkd_ext, editable', flush=True)
    installer.install('--no-deps', '--no-build-isolation', '--editable', str(ROOT))
    return environment


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument('--venv', type=Path, default=ROOT / '.venv', metavar='DIR',
                       help='virtual environment to make or to install into')
    where.add_argument('--into-current', action='store_true',
                       help='install into the environment of this python')
    parser.add_argument('--extra', action='append', default=[],
                        choices=['docs', 'pretrained'],
                        help='also install this file of requirements/')
    parser.add_argument('--force', action='store_true',
                        help='go through all steps even if the stamp is fresh')
    parser.add_argument('--jobs', type=int, default=0, metavar='N',
                        help='files of mmcv to compile at once (default: cores)')
    parser.add_argument('--wheel-dir', action='store_true',
                        help='only print where the mmcv wheel of this set-up belongs')
    args = parser.parse_args(argv)
    args.venv = args.venv.expanduser().absolute()
    return args


def run(args: argparse.Namespace) -> None:
    """Does what the command line asks for."""
    prefix = Path(sys.prefix) if args.into_current else args.venv
    python = (Path(sys.executable) if args.into_current
              else scripts_dir(prefix) / 'python')
    wanted = sorted({*args.extra, *read_stamp(prefix / STAMP).get('extras', ())})
    if not (args.force or args.wheel_dir) and is_ready(prefix, wanted):
        return
    if args.wheel_dir and not python.exists():
        raise SetupError(f'There is no environment at {prefix} yet.')
    if not python.exists():
        print(f'[0/4] virtual environment {prefix}', flush=True)
        make_venv(prefix)
    owned = bool(read_stamp(prefix / STAMP).get('owned'))
    environment = probe(python, owned)
    if args.wheel_dir:
        print(cache_dir() / 'wheels' / environment.key(pinned('mmcv')))
        return
    started = time.monotonic()
    check_versions(environment)
    write_stamp(environment, wanted, done=False)
    environment = set_up(environment, wanted, args.jobs or default_jobs())
    write_stamp(environment, wanted, done=True)
    print(f'Ready after {clock(time.monotonic() - started)}. Next: make demo, make '
          f'test, or: source {scripts_dir(prefix)}/activate')


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
