"""Time, memory and error of CIRKD's mini-batch term beside its dense form, in one run.

The dense form is written as the paper has it: for each ordered pair of images whole
matrices, whose parts autograd keeps. It needs some 1.3 GB for each pair at 64 x 128.

python benchmarks/bench_relations.py [--images 4] [--size 64 128] [--rounds 5]
"""

from __future__ import annotations

import argparse
import gc
from pathlib import Path
from typing import Any, Callable

import torch
import torch.nn.functional as F
from _measure import environment, interleaved, peak_memory, ratio, summary, write
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mmkd_ext.methods import CIRKDMiniBatchLoss

TAU = 0.1


def dense(student: Tensor, teacher: Tensor) -> Tensor:
    """All pairs of images after each other, then one backward pass."""
    s, t = (F.normalize(x.flatten(2)).transpose(1, 2) for x in (student, teacher))
    count = len(s)
    total = student.new_zeros(())
    for i in range(count):
        for j in range(count):
            log_q = (s[i] @ s[j].t() / TAU).log_softmax(1)
            p = (t[i] @ t[j].t() / TAU).softmax(1)
            total = total + F.kl_div(log_q, p, reduction='batchmean')
    return total / count**2


def measure(shape: tuple[int, ...], max_memory: float, rounds: int) -> dict[str, Any]:
    torch.manual_seed(0)
    student, teacher = torch.randn(shape, requires_grad=True), torch.randn(shape)
    ours = CIRKDMiniBatchLoss(TAU, pool=1, max_memory=max_memory)
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def job(key: str, loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], None]:
        def run() -> None:
            value = loss(student, teacher)
            value.backward()
            found[key] = value.detach(), student.grad
            student.grad = None

        return run

    jobs = {'mmkd_ext': job('mmkd_ext', ours), 'dense': job('dense', dense)}
    times = interleaved(jobs, rounds, warmup=1)
    error = [
        float((a - b).norm() / b.norm())
        for a, b in zip(found['mmkd_ext'], found['dense'])
    ]
    peaks = {}
    for key, run in jobs.items():
        found.clear()
        gc.collect()
        peaks[key] = round(peak_memory(run) / 2**20, 2)
    return {
        'shape': list(shape),
        'max_memory': max_memory,
        'relative_error': {'value': error[0], 'gradient': error[1]},
        'time': {key: summary(value) for key, value in times.items()},
        'time_ratio': ratio(times['mmkd_ext'], times['dense']),
        'peak_mib': peaks,
        'features_mib': round(student.numel() * 4 / 2**20, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--images', type=int, default=4)
    parser.add_argument('--channels', type=int, nargs='+', default=[128, 512])
    parser.add_argument('--size', type=int, nargs=2, default=[64, 128])
    parser.add_argument('--max-memory', type=float, nargs='+', default=[256])
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results' / 'relations.json'
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = [
        measure((args.images, channels, *args.size), limit, args.rounds)
        for channels in args.channels
        for limit in args.max_memory
    ]
    table = Table(title='CIRKD, relations of a mini-batch, forward and backward')
    for column in (
        'shape',
        'limit MB',
        'ours ms',
        'dense ms',
        'ratio',
        'ours MiB',
        'dense MiB',
        'value error',
        'gradient error',
    ):
        table.add_column(column, justify='right')
    for row in results:
        table.add_row(
            str(tuple(row['shape'])),
            f'{row["max_memory"]:g}',
            *(f'{row["time"][key]["median_ms"]:.0f}' for key in ('mmkd_ext', 'dense')),
            f'{row["time_ratio"]["median"]:.3f}',
            *(f'{row["peak_mib"][key]:.1f}' for key in ('mmkd_ext', 'dense')),
            *(f'{row["relative_error"][k]:.1e}' for k in ('value', 'gradient')),
        )
    Console().print(table)
    write({'environment': environment(), 'results': results}, args.out)


if __name__ == '__main__':
    main()
