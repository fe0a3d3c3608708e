"""Builds mmcv's wheel with operators, once per machine; `bootstrap.py` calls it.

There is no wheel with operators for today's torch. The built one is kept in a cache
outside any checkout (`$MMKD_CACHE`, else `$XDG_CACHE_HOME/mmkd_ext`, else
`~/.cache/mmkd_ext`), in a folder named after everything that it depends on.
"""

from __future__ import annotations

import contextlib
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

PROBE = """
import json, importlib.metadata as md, os, pathlib, sys, sysconfig
there = {}
for name in ('torch', 'torchvision', 'torchaudio', 'mmcv'):
    try:
        there[name] = md.version(name)
    except md.PackageNotFoundError:
        pass
out = {'version': list(sys.version_info[:2]), 'prefix': sys.prefix,
       'abi': 'cp%d%d' % sys.version_info[:2] + getattr(sys, 'abiflags', ''),
       'platform': sysconfig.get_platform(), 'site': sysconfig.get_path('purelib'),
       'python_h': (pathlib.Path(sysconfig.get_path('include')) / 'Python.h').exists(),
       'torch': None, 'cuda': None, 'has_nvcc': False, 'mmcv': there.pop('mmcv', None),
       'held': ['%s==%s' % pair for pair in there.items()]}
try:
    import torch
except ImportError:
    torch = None
if torch is not None:
    out['torch'] = torch.__version__
    if torch.cuda.is_available() or os.environ.get('FORCE_CUDA', '0') == '1':
        out['cuda'] = torch.version.cuda or torch.version.hip
        try:
            from torch.utils.cpp_extension import CUDA_HOME, ROCM_HOME
            out['has_nvcc'] = bool(CUDA_HOME or ROCM_HOME)
        except (ImportError, OSError):
            pass
print('PROBE' + json.dumps(out))
"""

NO_COMPILER = """No C++ compiler: `{}` is not on the path, and mmcv must be built from
source for this torch. Install one and run this again:
    Debian, Ubuntu:  sudo apt install g++
    Fedora, RHEL:    sudo dnf install gcc-c++
    conda:           conda install -c conda-forge cxx-compiler
    macOS:           xcode-select --install
    cluster:         module load gcc
or name it: CXX=/path/to/g++ make setup"""

NO_HEADERS = """The headers of Python {0} (`Python.h`) are missing, which mmcv needs.
    Debian, Ubuntu:  sudo apt install python{0}-dev
    Fedora, RHEL:    sudo dnf install python{0}-devel"""


class SetupError(Exception):
    """Something that the person at the keyboard has to do."""


@dataclass(frozen=True)
class Environment:
    """The python that is to be set up, whether `bootstrap.py` made it, its `PROBE`."""

    python: Path
    owned: bool
    facts: dict

    def key(self, mmcv: str) -> str:
        """Returns the name of the cache folder for a wheel of this environment."""
        facts = self.facts
        device = f"cuda{facts['cuda']}" if facts['cuda'] else 'cpu'
        parts = (f'mmcv-{mmcv}', f"torch-{facts['torch']}", facts['abi'],
                 facts['platform'], device)
        return '_'.join(re.sub(r'[^A-Za-z0-9._+-]', '-', part) for part in parts)


def probe(python: Path, owned: bool) -> Environment:
    """Returns what is known about ``python``."""
    done = subprocess.run([str(python), '-c', PROBE], capture_output=True, text=True,
                          check=False)
    found = re.search(r'^PROBE(.*)$', done.stdout, re.MULTILINE)
    if found is None:
        raise SetupError(f'{python} does not start, or its torch does not:\n'
                         f'{done.stdout}{done.stderr}')
    return Environment(python, owned, json.loads(found[1]))


# --- progress and commands ---------------------------------------------------------


class Progress:
    """One line that is rewritten on a terminal, and printed now and then elsewhere."""

    def __init__(self) -> None:
        self._last = float('-inf')

    def show(self, text: str) -> None:
        """Shows ``text`` as the present state; '' clears the line."""
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            line = text[:width].ljust(width)
            print(f'\r{line}', end='' if text else '\r', flush=True)
        elif text and time.monotonic() - self._last >= 20:
            self._last = time.monotonic()
            print(text, flush=True)


def clock(seconds: float) -> str:
    """Returns ``seconds`` as ``m:ss``."""
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


def build_status(line: str, started: float, now: float) -> str:
    """Returns what a line of ninja, ``[12/77] c++ ...``, says of a build, or ''."""
    match = re.match(r'\s*\[(\d+)/(\d+)\]', line)
    if match is None:
        return ''
    done, total, spent = int(match[1]), int(match[2]), now - started
    left = f', about {clock(spent / done * (total - done))} left' if done else ''
    return f'      mmcv: {done}/{total} files compiled, {clock(spent)}{left}'


def run_shown(command: Sequence[str], status: Callable[[str], str], log: Path,
              env: dict[str, str] | None = None) -> None:
    """Runs ``command``, writes its output to ``log``, shows the `status` of its lines.

    Raises:
        SetupError: The command failed; shows its last lines.
    """
    tail: deque[str] = deque(maxlen=30)
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    with log.open('a', encoding='utf-8', errors='replace') as file:
        file.write(f'$ {shlex.join(command)}\n')
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding='utf-8', errors='replace', env=env, start_new_session=True)
        try:
            for line in process.stdout or ():
                file.write(line)
                tail.append(line.rstrip()[:400])
                if text := status(line.strip()):
                    progress.show(text)
            code = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # compilers are its children
            process.wait()
            raise
        finally:
            progress.show('')
    if code != 0:
        shown = '\n    '.join(tail)
        raise SetupError(
            f'This command failed with status {code}:\n    {shlex.join(command)}\n'
            f'Its last lines (all of them: {log}):\n    {shown}')


# --- the wheel ---------------------------------------------------------------------


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
                print('      another process builds this wheel; waiting', flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_wheel(wheel: Path) -> None:
    """Raises `SetupError` unless ``wheel`` is whole and holds the operators."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names, damaged = archive.namelist(), archive.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        raise SetupError(f'{wheel} cannot be read ({error}).') from None
    if damaged:
        raise SetupError(f'{wheel} is damaged at `{damaged}`.')
    if not any(re.match(r'mmcv/_ext\..*(so|pyd|dylib)$', name) for name in names):
        raise SetupError(f'{wheel} was built without the operators (`mmcv._ext`).')


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


def check_compiler(environment: Environment) -> None:
    """Raises `SetupError` when something that building mmcv needs is not there."""
    facts = environment.facts
    compiler = shlex.split(os.environ.get('CXX') or 'c++')[0]
    if not (shutil.which(compiler) or shutil.which('g++')):
        raise SetupError(NO_COMPILER.format(compiler))
    if not facts['python_h']:
        raise SetupError(NO_HEADERS.format('.'.join(map(str, facts['version']))))
    if facts['cuda'] and not facts['has_nvcc']:
        raise SetupError(
            f"torch sees a GPU, but the compiler of CUDA {facts['cuda']} (`nvcc`) is "
            'not found. Load or install that CUDA toolkit and set CUDA_HOME; or build '
            'for the CPU only: CUDA_VISIBLE_DEVICES= make setup')


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


def cached_wheel(environment: Environment, mmcv: str, jobs: int) -> Path:
    """Returns a wheel of mmcv for ``environment``; builds it where there is none."""
    folder = cache_dir() / 'wheels' / environment.key(mmcv)
    if wheel := find_wheel(folder):
        return wheel
    with locked(folder.with_name(folder.name + '.lock')):
        return find_wheel(folder) or build_wheel(environment, mmcv, folder, jobs)


def build_wheel(environment: Environment, mmcv: str, folder: Path, jobs: int) -> Path:
    """Builds mmcv's wheel and puts it into ``folder`` in one move."""
    check_compiler(environment)
    folder.mkdir(parents=True, exist_ok=True)
    log, started = folder / 'build.log', time.monotonic()
    print(f'      building mmcv {mmcv} with operators, {jobs} at a time: 10 to 20 '
          f'minutes on 2 cores,\n      once for this machine; log: {log}', flush=True)
    path = f'{environment.python.parent}{os.pathsep}{os.environ.get("PATH", "")}'
    env = dict(os.environ, MMCV_WITH_OPS='1', MAX_JOBS=str(jobs),
               PATH=path)  # on which torch looks for ninja
    with tempfile.TemporaryDirectory(prefix='build-', dir=folder.parent) as scratch:
        run_shown(wheel_command(environment, mmcv, Path(scratch)),
                  lambda line: build_status(line, started, time.monotonic()), log, env)
        built = next(Path(scratch).glob('mmcv-*.whl'), None)
        if built is None:
            raise SetupError(f'The build of mmcv left no wheel; see {log}.')
        check_wheel(built)
        wheel = folder / built.name
        os.replace(built, wheel)
    print(f'      built in {clock(time.monotonic() - started)}: {wheel}')
    return wheel
