"""Measuring side by side: interleaved rounds, medians, spread, peak memory."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from mmkd_ext.files import write_json
from mmkd_ext.version import stack_versions

Job = Callable[[], Any]
Measure = Callable[..., 'dict[str, Any]']


def interleaved(
    jobs: dict[str, Job], rounds: int, warmup: int = 2
) -> dict[str, list[float]]:
    """Times all jobs once a round, in turning order, so that drift hits all alike.

    What is counted is the processor time of this process: on a shared machine it says
    what the job costs, where a clock on the wall says who else was there.
    """
    names = list(jobs)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warmup + rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            start = time.process_time()
            jobs[name]()
            if number >= warmup:
                times[name].append(time.process_time() - start)
    return times


def quartiles(values: list[float]) -> list[float]:
    """First quartile, median and third one; of one value three times the same."""
    return statistics.quantiles(values, n=4) if len(values) > 1 else values * 3


def summary(times: list[float]) -> dict[str, float]:
    """Median and quartiles in milliseconds."""
    low, middle, high = quartiles(times)
    return {
        'median_ms': round(middle * 1e3, 2),
        'q1_ms': round(low * 1e3, 2),
        'q3_ms': round(high * 1e3, 2),
        'runs': len(times),
    }


def ratio(of: list[float], to: list[float]) -> dict[str, float]:
    """Ratio round by round: median and quartiles."""
    low, middle, high = quartiles([a / b for a, b in zip(of, to)])
    return {'median': round(middle, 3), 'q1': round(low, 3), 'q3': round(high, 3)}


def peak_memory(job: Job, *, warm_up: bool = True) -> int:
    """Most bytes of CPU tensors alive at once during a job, above the start."""
    if warm_up:
        job()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as prof:
        job()
    events = [
        (event.start_ns(), event.nbytes())
        for event in prof.profiler.kineto_results.events()
        if event.name() == '[memory]'
    ]
    now = most = 0
    for _, size in sorted(events, key=lambda event: event[0]):
        now += size
        most = max(most, now)
    return most


def environment() -> dict[str, Any]:
    """What a reader needs to place the numbers."""
    commit = subprocess.run(
        ['git', 'describe', '--always', '--dirty'],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    ).stdout.strip()
    return {
        'commit': commit or 'unknown',
        'python': platform.python_version(),
        'versions': stack_versions(),
        'threads': torch.get_num_threads(),
        'cores': os.cpu_count(),
        # at the end of the run; of other work too, if the machine was shared
        'load_per_core': round(os.getloadavg()[0] / (os.cpu_count() or 1), 1),
        'processor': platform.machine(),
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def write(result: dict[str, Any], out: Path) -> None:
    """Writes JSON, the whole file or nothing."""
    write_json(out, result)


def compare(
    doc: str, cases: Mapping[str, Sequence[Any]], measure: Measure, rival: str, out: str
) -> None:
    """Measures losses beside a rival, prints a table and writes the results.

    Args:
        doc: The script's docstring.
        cases: Name of a case to what ``measure`` takes besides name and rounds.
        measure: Gives the row of a case.
        rival: Whom ours is beside, a key of the rows' ``time`` and ``peak_mib``.
        out: Name of the file in benchmarks/results.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    default = Path(__file__).parent / 'results' / out
    parser.add_argument('--out', type=Path, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = [measure(name, *case, args.rounds) for name, case in cases.items()]
    table = Table(title='forward and backward')
    header = ['loss', 'ours ms', f'{rival} ms', 'ratio', 'ours MiB', f'{rival} MiB']
    for column in header:
        table.add_column(column, justify='left' if column == 'loss' else 'right')
    for row in results:
        times = [row['time'][key]['median_ms'] for key in ('mmkd_ext', rival)]
        peaks = [row['peak_mib'][key] for key in ('mmkd_ext', rival)]
        table.add_row(
            row['loss'],
            *(f'{time:.1f}' for time in times),
            f'{row["time_ratio"]["median"]:.3f}',
            *(f'{peak:.1f}' for peak in peaks),
        )
    Console().print(table)
    write({'environment': environment(), 'results': results}, args.out)
