"""Time and memory of a training step with a stored teacher; time of storing.

    python benchmarks/bench_store.py [--pair retinanet|pspnet] [--rounds 9]

The step stands beside the student's own and the one with the live teacher; storing
beside the teacher's own passes over the same pictures. Pairs and losses are
bench_step's.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from _measure import environment, interleaved, peak_memory, ratio, summary, write
from bench_step import PAIRS, ours, step
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from mmkd_ext.algorithms.dry_run import blank_batch
from mmkd_ext.datasets.augmentations import Augmentations
from mmkd_ext.engine.store import StoreWriter
from mmkd_ext.registry import MODELS

PICTURES, BATCH = 4, 2


class Noise(Dataset[Any]):
    """Pictures of noise with the sample of a blank one."""

    def __init__(self, model: Any, size: int) -> None:
        self.size, self.sample = size, blank_batch(model, size)['data_samples'][0]

    def __len__(self) -> int:
        return PICTURES

    def __getitem__(self, index: int) -> dict[str, Any]:
        shape = (3, self.size, self.size)
        own = torch.Generator().manual_seed(index)
        picture = torch.randint(0, 256, shape, generator=own, dtype=torch.uint8)
        return {'inputs': picture, 'data_samples': copy.deepcopy(self.sample)}


def measure(name: str, form: str, rounds: int, folder: str) -> dict[str, Any]:
    pair = PAIRS[name]
    init_default_scope(pair['scope'])
    config = ours(pair)
    live = MODELS.build(copy.deepcopy(config))
    loader = DataLoader(
        Noise(live.architecture, pair['size']), BATCH, collate_fn=pseudo_collate
    )
    writer = StoreWriter({}, live, loader, folder, augmentations=1, format=form)
    jobs = {'store': lambda: list(writer.write())}
    items = Augmentations(loader.dataset, 1)
    batches = [
        live.data_preprocessor(pseudo_collate([items[i], items[i + 1]]), True)
        for i in range(0, PICTURES, BATCH)
    ]
    teacher, recorder = live.teachers['teacher'], live.distiller.recorders['teacher']

    def teach() -> None:
        for one in batches:
            teacher.run(recorder, one['inputs'], one['data_samples'])
        recorder.clear()

    jobs['teacher'] = teach
    storing = interleaved(jobs, rounds, warmup=1)
    config.pop('teacher')
    stored = MODELS.build({**config, 'teacher_store': folder})
    stored.load_state_dict(live.state_dict())
    stored.train(), live.train()
    seen: dict[str, float] = {}
    batch = batches[0]
    steps = {
        'student': lambda: step(live.architecture, batch, seen, 'student'),
        'stored': lambda: step(stored, batch, seen, 'stored'),
        'live': lambda: step(live, batch, seen, 'live'),
    }
    times = interleaved(steps, rounds)
    peaks = {key: peak_memory(job) for key, job in steps.items()}
    return {
        'pair': name,
        'format': form,
        'input': list(batch['inputs'].shape),
        'row_mib': round(writer.type.itemsize / 2**20, 3),
        'rows': {
            key: {
                **summary(times[key]),
                'to_student': ratio(times[key], times['student']),
                'peak_mib': round(peaks[key] / 2**20, 1),
            }
            for key in steps
        },
        'storing': {
            **{key: summary(one) for key, one in storing.items()},
            'to_teacher': ratio(storing['store'], storing['teacher']),
        },
        'distill_loss': {key: seen[key] for key in ('stored', 'live')},
    }


def show(result: dict[str, Any]) -> None:
    table = Table(title=f'{result["pair"]}, {result["format"]}, {result["input"]}')
    for column in ('step', 'median ms', 'x student', 'peak MiB'):
        table.add_column(column, justify='left' if column == 'step' else 'right')
    for key, row in result['rows'].items():
        median, peak = f'{row["median_ms"]:.0f}', f'{row["peak_mib"]:.1f}'
        table.add_row(key, median, f'{row["to_student"]["median"]:.3f}', peak)
    Console().print(table)
    Console().print('storing:', result['storing']['to_teacher'], 'x the teacher')
    Console().print('distillation loss seen:', result['distill_loss'])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pair', choices=PAIRS, action='append')
    parser.add_argument('--format', default='float32')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results' / 'store.json'
    )
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    results = []
    for name in args.pair or PAIRS:
        folder = tempfile.mkdtemp()
        try:
            results.append(measure(name, args.format, args.rounds, folder))
        finally:
            shutil.rmtree(folder)
        show(results[-1])
    write({'environment': environment(), 'results': results}, args.out)


if __name__ == '__main__':
    main()
