"""Time, memory and error of CIRKD's mini-batch term beside its dense form, in one run.

The dense form makes the whole matrices of a pair of images as the paper writes them,
and lets autograd keep what it needs. It goes backward after each pair, so that it holds
one pair and not all of them: each keeps two matrices, of 256 MiB at 64 x 128 pixels.

python benchmarks/bench_relations.py [--rounds 5]
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
CHANNELS = 128
# images, height and width; how many rounds of those asked for. Time is one matrix
# product and softmax for each pair, so the first two say what the last one does.
CASES = (((1, 64, 128), 1.0), ((4, 32, 64), 1.0), ((4, 64, 128), 0.0))
# how the peak of ours follows its setting, in MB, and not the size of the map
LIMITS = (
    ((1, 32, 64), 16),
    ((1, 64, 128), 16),
    ((1, 64, 128), 64),
    ((1, 64, 128), 256),
)


def unit_rows(x: Tensor) -> Tensor:
    return F.normalize(x.flatten(2)).transpose(1, 2)


def dense(student: Tensor, teacher: Tensor) -> Tensor:
    """Goes through all pairs of images, backward after each; returns the value."""
    whole, t = unit_rows(student), unit_rows(teacher)
    s = whole.detach().requires_grad_()
    count = len(s)
    total = student.new_zeros(())
    for i in range(count):
        for j in range(count):
            log_q = (s[i] @ s[j].t() / TAU).log_softmax(1)
            p = (t[i] @ t[j].t() / TAU).softmax(1)
            found = F.kl_div(log_q, p, reduction='batchmean') / count**2
            found.backward()
            total += found.detach()
    whole.backward(s.grad)
    return total


def chunked(max_memory: float) -> Callable[[Tensor, Tensor], Tensor]:
    loss = CIRKDMiniBatchLoss(TAU, pool=1, max_memory=max_memory)

    def run(student: Tensor, teacher: Tensor) -> Tensor:
        value = loss(student, teacher)
        value.backward()
        return value.detach()

    return run


def features(size: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    images, height, width = size
    shape = (images, CHANNELS, height, width)
    return torch.randn(shape, requires_grad=True), torch.randn(shape)


def measure(
    size: tuple[int, int, int], max_memory: float, rounds: int
) -> dict[str, Any]:
    student, teacher = features(size)
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def job(key: str, run: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], None]:
        def whole() -> None:
            found[key] = run(student, teacher), student.grad
            student.grad = None

        return whole

    jobs = {
        'mmkd_ext': job('mmkd_ext', chunked(max_memory)),
        'dense': job('dense', dense),
    }
    times = interleaved(jobs, rounds, warmup=min(rounds - 1, 1))
    error = [
        float((a - b).norm() / b.norm())
        for a, b in zip(found['mmkd_ext'], found['dense'])
    ]
    peaks = {}
    for key, run in jobs.items():
        found.clear()
        gc.collect()
        peaks[key] = round(peak_memory(run, warm_up=False) / 2**20, 2)
    return {
        'loss': f'CIRKD mini-batch, {max_memory:g} MB',
        'shape': list(student.shape),
        'max_memory': max_memory,
        'relative_error': {'value': error[0], 'gradient': error[1]},
        'time': {key: summary(value) for key, value in times.items()},
        'time_ratio': ratio(times['mmkd_ext'], times['dense']),
        'peak_mib': peaks,
        'peak_ratio': round(peaks['mmkd_ext'] / peaks['dense'], 4),
        'features_mib': round(student.numel() * 4 / 2**20, 2),
    }


def peak_of(size: tuple[int, int, int], max_memory: float) -> dict[str, Any]:
    student, teacher = features(size)
    run = chunked(max_memory)
    peak = peak_memory(lambda: run(student, teacher), warm_up=False)
    return {
        'shape': list(student.shape),
        'max_memory': max_memory,
        'peak_mib': round(peak / 2**20, 2),
        'features_mib': round(student.numel() * 4 / 2**20, 2),
        'matrix_mib': round((size[1] * size[2]) ** 2 * 4 / 2**20, 2),
    }


def show(results: list[dict[str, Any]]) -> None:
    table = Table(title='CIRKD, relations of a mini-batch, forward and backward')
    for column in (
        'shape',
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
            *(f'{row["time"][key]["median_ms"]:.0f}' for key in ('mmkd_ext', 'dense')),
            f'{row["time_ratio"]["median"]:.3f}',
            *(f'{row["peak_mib"][key]:.1f}' for key in ('mmkd_ext', 'dense')),
            *(f'{row["relative_error"][k]:.1e}' for k in ('value', 'gradient')),
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--max-memory', type=float, default=256)
    parser.add_argument('--small', action='store_true', help='leave the last case out')
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results' / 'relations.json'
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    limits = [peak_of(*case) for case in LIMITS]
    results: list[dict[str, Any]] = []
    for size, share in CASES[:-1] if args.small else CASES:
        rounds = max(1, round(args.rounds * share))
        results.append(measure(size, args.max_memory, rounds))
        show(results[-1:])
        content = {'environment': environment(), 'results': results, 'limits': limits}
        write(content, args.out)


if __name__ == '__main__':
    main()
