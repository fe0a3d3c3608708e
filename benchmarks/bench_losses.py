"""Time and memory of each loss, forward and backward, beside mmrazor's, in one run.

python benchmarks/bench_losses.py [--rounds 30]
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import torch
from _measure import environment, interleaved, peak_memory, ratio, summary, write
from rich.console import Console
from rich.table import Table

from mmkd_ext.registry import MODELS

LOGITS, FEATURE = (2, 19, 64, 128), (2, 256, 64, 64)
ROWS = (2 * 64 * 128, 19)  # a row for each pixel: of maps mmrazor means something else
# loss, mmrazor's loss that means the same, and the factor between the two
CASES: dict[str, tuple[tuple[int, ...], dict[str, Any], dict[str, Any], float]] = {
    'CWD logits': (
        LOGITS,
        dict(type='mmkd_ext.CWDLoss', tau=4.0),
        dict(type='mmrazor.ChannelWiseDivergence', tau=4.0),
        1.0,
    ),
    'CWD features': (
        FEATURE,
        dict(type='mmkd_ext.CWDLoss'),
        dict(type='mmrazor.ChannelWiseDivergence'),
        1.0,
    ),
    'KD pixels': (
        LOGITS,
        dict(type='mmkd_ext.KDLoss'),
        dict(type='mmrazor.KLDivergence'),
        1 / (64 * 128),
    ),
    'DIST, rows': (
        ROWS,
        dict(type='mmkd_ext.DISTLoss'),
        dict(type='mmrazor.DISTLoss'),
        1.0,
    ),
    'DKD, rows': (
        ROWS,
        dict(type='mmkd_ext.DKDLoss'),
        dict(type='mmrazor.DKDLoss'),
        1.0,
    ),
    'AT': (
        FEATURE,
        dict(type='mmkd_ext.ATLoss'),
        dict(type='mmrazor.ATLoss'),
        1.0,
    ),
    'FitNets': (
        FEATURE,
        dict(type='mmkd_ext.FitNetsLoss'),
        dict(type='mmrazor.L2Loss', normalize=False, div_element=True),
        1.0,
    ),
    'PKD': (
        FEATURE,
        dict(type='mmkd_ext.PKDLoss'),
        dict(type='mmrazor.PKDLoss'),
        1.0,
    ),
    'MGD': (
        FEATURE,
        dict(type='mmkd_ext.MGDLoss'),
        dict(type='mmrazor.MGDLoss'),
        1.0,
    ),
}


def measure(name: str, rounds: int) -> dict[str, Any]:
    shape, mine, other, factor = CASES[name]
    torch.manual_seed(0)
    student = torch.randn(shape, requires_grad=True)
    teacher = torch.randn(shape)
    values: dict[str, float] = {}

    def job(key: str, config: dict[str, Any], **extras: Any) -> Any:
        loss = MODELS.build(config)

        def run() -> None:
            value = loss(student, teacher, **extras)
            value.backward()
            values[key] = float(value.detach())
            student.grad = None

        return run

    names = ('labels', 'gt_labels') if name.startswith('DKD') else ()
    labels = torch.randint(0, shape[1], shape[:1])
    extras = [{name: labels} for name in names] or [{}, {}]
    jobs = {
        key: job(key, config, **extra)
        for key, config, extra in zip(('mmkd_ext', 'mmrazor'), (mine, other), extras)
    }
    times = interleaved(jobs, rounds)
    return {
        'loss': name,
        'shape': list(shape),
        'values': {
            'mmkd_ext': values['mmkd_ext'],
            'mmrazor': values['mmrazor'] * factor,
        },
        'time': {key: summary(value) for key, value in times.items()},
        'time_ratio': ratio(times['mmkd_ext'], times['mmrazor']),
        'peak_mib': {
            key: round(peak_memory(run) / 2**20, 2) for key, run in jobs.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results' / 'losses.json'
    )
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    results = [measure(name, args.rounds) for name in CASES]
    table = Table(title='losses, forward and backward')
    for column in (
        'loss',
        'ours ms',
        'mmrazor ms',
        'ratio',
        'ours MiB',
        'mmrazor MiB',
        'ours',
        'mmrazor',
    ):
        table.add_column(column, justify='left' if column == 'loss' else 'right')
    for row in results:
        table.add_row(
            row['loss'],
            *(
                f'{row["time"][key]["median_ms"]:.1f}'
                for key in ('mmkd_ext', 'mmrazor')
            ),
            f'{row["time_ratio"]["median"]:.2f}',
            *(f'{row["peak_mib"][key]:.1f}' for key in ('mmkd_ext', 'mmrazor')),
            *(f'{row["values"][key]:.5f}' for key in ('mmkd_ext', 'mmrazor')),
        )
    Console().print(table)
    write({'environment': environment(), 'results': results}, args.out)


if __name__ == '__main__':
    main()
