"""Steps of an experiment: each a command in a folder, kept when done, resumed when not.

A step that is done is not done again; one that was stopped goes on.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_EXCEPTION,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmkd_ext.engine.steps import StepFolders, as_options, fingerprint
from mmkd_ext.errors import ConfigError, MMKDError, Problem, did_you_mean

__all__ = [
    'StepError',
    'StepRunner',
    'missing_file',
    'print_log',
    'read_file',
    'run_command',
    'unknown_keys',
]

Log = Callable[[str], None]
_RUNNING: set[subprocess.Popen[bytes]] = set()


class StepError(MMKDError, RuntimeError):
    """A step of an experiment ended with an error."""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends ``process`` and all it started: it leads a process group of its own."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def run_command(
    command: Sequence[str],
    *,
    log_file: Path,
    name: str,
    progress: Callable[[], None] = lambda: None,
    every: float = 8.0,
    env: Mapping[str, str] | None = None,
) -> float:
    """Runs a command, its output into a file, and returns the seconds it took.

    It does not outlive this call: whatever ends the call ends the command and its
    workers.

    Args:
        command: The program and its arguments.
        log_file: Gets the command line and all output; appended to.
        name: Of the step, for messages.
        progress: Called now and then while the command runs.
        every: Seconds between two calls.
        env: Variables on top of this process's own.

    Raises:
        StepError: The command failed; the message tells which one, how, and where
            its output lies.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log_file.open('a') as sink:
        sink.write(f'$ {shlex.join(command)}\n')
        sink.flush()
        process = subprocess.Popen(
            list(command),
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **(env or {})},
            start_new_session=True,
        )
    _RUNNING.add(process)
    try:
        while True:
            try:
                status = process.wait(every)
                break
            except subprocess.TimeoutExpired:
                progress()
    finally:
        _RUNNING.discard(process)
        _end(process)
    if status != 0:
        how = f'signal {-status}' if status < 0 else f'exit status {status}'
        tail = log_file.read_text(errors='replace').splitlines()[-8:]
        raise StepError(
            f'Step `{name}` failed with {how}.\n'
            f'  command: {shlex.join(command)}\n'
            f'  log:     {log_file}\n'
            + '  its last lines:\n'
            + ''.join(f'    {line}\n' for line in tail)
            + '  Fix the cause and run the same again: finished steps are kept.'
        )
    return time.monotonic() - started


class StepRunner(StepFolders):
    """Does steps below one folder, side by side, and stops all when one fails.

    Args:
        root: Everything is written below it.
        fresh: Move aside what is there and start anew.
        log: Is given lines about the progress.
        python: The interpreter that runs the tools.
        data: What the data is: done again when it changes.
        jobs: So many runs may go on at once; they share the cores evenly.
        keep_going: A run that fails does not stop the others.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        fresh: bool = False,
        log: Log = print,
        python: str = sys.executable,
        data: str = '',
        jobs: int = 1,
        keep_going: bool = False,
    ) -> None:
        super().__init__(root, fresh=fresh, log=log)
        self.python = python
        self.data = data
        self.jobs = jobs
        self.keep_going = keep_going
        self._stopping = threading.Event()
        self._configs: dict[str, Any] = {}

    @contextmanager
    def parallel(self) -> Iterator[Callable[..., Future[Any]]]:
        """Lends a function that begins work; what is begun ends with the block."""
        pool = ThreadPoolExecutor(self.jobs)
        begun: list[Future[Any]] = []

        def work(function: Callable[..., Any], *args: Any) -> Any:
            try:
                return function(*args)
            except BaseException:
                if not self.keep_going:
                    self._stopping.set()  # before this thread takes up the next run
                raise

        def begin(function: Callable[..., Any], *args: Any) -> Future[Any]:
            begun.append(pool.submit(work, function, *args))
            return begun[-1]

        try:
            yield begin
            until = ALL_COMPLETED if self.keep_going else FIRST_EXCEPTION
            wait(begun, return_when=until)
            if not self.keep_going:
                failed = [f for f in begun if f.done() and f.exception()]
                for future in [*failed, *begun]:
                    future.result()
        finally:
            self._stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in begun):
                for process in list(_RUNNING):
                    _end(process)
                wait(begun, timeout=0.1)
            pool.shutdown()
            self._stopping.clear()

    def fingerprint(self, config: str, options: Mapping[str, Any], more: str) -> str:
        """Returns a hash of all that a step's outcome hangs on but the code."""
        text = self.config(config).pretty_text
        return fingerprint(text, sorted(as_options(options)), self.data, more)

    def config(self, path: str) -> Any:
        """Returns a config; read all before threads begin, one at a time."""
        from mmengine.config import Config

        if path not in self._configs:
            self._configs[path] = Config.fromfile(path)
        return self._configs[path]

    def step(
        self,
        command: Sequence[str],
        log_file: Path,
        name: str,
        progress: Callable[[], None] = lambda: None,
    ) -> float:
        """Runs one of the tools with its share of the cores, unless all is to stop."""
        if self._stopping.is_set():
            raise StepError(f'Step `{name}` was not begun: another one failed.')
        env: dict[str, str] = {}
        if 'OMP_NUM_THREADS' not in os.environ:
            # Not all cores, even for one job: on two of them a second thread was worth
            # a tenth, and cost a factor of seven when something else ran as well.
            share = (os.cpu_count() or 1) // max(self.jobs, 2)
            env['OMP_NUM_THREADS'] = str(max(share, 1))
        return run_command(
            [self.python, *command],
            log_file=log_file,
            name=name,
            progress=progress,
            env=env,
        )


def print_log(line: str) -> None:
    """Prints a line with the time of day."""
    print(f'[{time.strftime("%H:%M:%S")}] {line}', flush=True)


# ---- files of experiments and grids --------------------------------------------------


def read_file(
    path: str | os.PathLike[str], kind: str, known: Sequence[str], needed: Sequence[str]
) -> tuple[dict[str, Any], list[Problem]]:
    """Returns the content of an experiment's or a grid's file, and its problems.

    Raises:
        ConfigError: There is no such file.
    """
    from mmengine.config import Config

    if not Path(path).is_file():
        near = [str(p) for p in Path(path).parent.glob('*.py')]
        hint = did_you_mean(str(path), near)
        raise ConfigError(f'No {kind} file {str(path)!r}.{hint}')
    raw = Config.fromfile(path).to_dict()
    problems = unknown_keys(raw, '', known)
    problems += [
        Problem(key, 'missing.', f'Set it in {str(path)!r}.')
        for key in needed
        if not raw.get(key)
    ]
    return raw, problems


def unknown_keys(
    fields: Mapping[str, Any], path: str, known: Sequence[str]
) -> list[Problem]:
    """Returns a problem for each key that nobody reads."""
    return [
        Problem(f'{path}{key}', 'unknown key.', did_you_mean(key, known).strip())
        for key in sorted(set(fields) - set(known))
    ]


def missing_file(path: str, file: str) -> list[Problem]:
    """Returns a problem if there is no such file."""
    if Path(file).is_file():
        return []
    hint = 'Paths start at the folder you run from, the repository.'
    return [Problem(path, f'no such file: {file!r}.', hint)]
