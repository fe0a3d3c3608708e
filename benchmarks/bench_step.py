"""Time and memory of a training step, beside mmrazor, in one run.

    python benchmarks/bench_step.py [--pair retinanet|pspnet] [--rounds 15]

The floor is the student's own step plus the teacher's forward to its last tap without
gradients. All variants share the same student, teacher, batch and loss (CWD).
"""

from __future__ import annotations

import argparse
import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from _measure import environment, interleaved, peak_memory, ratio, summary, write
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table

from mmkd_ext.algorithms.dry_run import blank_batch
from mmkd_ext.algorithms.sources import model_config
from mmkd_ext.registry import MODELS

PAIRS = {
    'retinanet': dict(
        scope='mmdet',
        tap='neck',
        levels=5,
        size=320,
        student='mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
        teacher='mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        rivals=('SingleTeacherDistill', 'FpnTeacherDistill'),
    ),
    'pspnet': dict(
        scope='mmseg',
        tap='decode_head.conv_seg',
        levels=0,
        size=192,
        student='mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        teacher='mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py',
        rivals=('SingleTeacherDistill',),
    ),
}


def plain(name: str) -> ConfigDict:
    """Config of a model that needs no download and no GPU."""
    config = model_config(name, name)
    config.backbone.init_cfg = None
    config.pop('pretrained', None)
    for part in ('backbone', 'decode_head', 'auxiliary_head'):
        if config.get(part, {}).get('norm_cfg', {}).get('type') == 'SyncBN':
            config[part].norm_cfg.type = 'BN'
    return config


def ours(pair: dict[str, Any]) -> ConfigDict:
    tap = pair['tap']
    return ConfigDict(
        type='mmkd_ext.TeacherDistill',
        architecture=plain(pair['student']),
        teacher=plain(pair['teacher']),
        distiller=dict(
            type='mmkd_ext.LinkDistiller',
            links=dict(
                loss_cwd=dict(
                    loss=dict(type='mmkd_ext.CWDLoss'),
                    preds_S=dict(of='student', at=tap),
                    preds_T=dict(of='teacher', at=tap),
                )
            ),
        ),
    )


def theirs(pair: dict[str, Any], algorithm: str) -> ConfigDict:
    recorders = dict(tap=dict(type='ModuleOutputs', source=pair['tap']))
    parts = [dict(data_idx=i) for i in range(pair['levels'])] or [{}]
    losses, mappings = {}, {}
    for number, part in enumerate(parts):
        name = f'loss_cwd{number}'
        losses[name] = dict(type='ChannelWiseDivergence')
        mappings[name] = dict(
            preds_S=dict(recorder='tap', from_student=True, **part),
            preds_T=dict(recorder='tap', from_student=False, **part),
        )
    return ConfigDict(
        _scope_='mmrazor',
        type=algorithm,
        architecture=plain(pair['student']),
        teacher=plain(pair['teacher']),
        distiller=dict(
            type='ConfigurableDistiller',
            distill_losses=losses,
            student_recorders=recorders,
            teacher_recorders=copy.deepcopy(recorders),
            loss_forward_mappings=mappings,
        ),
    )


def batch_of(model: Any, size: int) -> dict[str, Any]:
    batch = blank_batch(model, size)
    torch.manual_seed(0)
    batch['inputs'] = torch.randn(2, 3, size, size)
    batch['data_samples'] = [copy.deepcopy(batch['data_samples'][0]) for _ in range(2)]
    return batch


def step(model: Any, batch: dict[str, Any], seen: dict[str, float], name: str) -> None:
    """Forward and backward; keeps the distillation loss for the comparison."""
    losses = model(**batch, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    seen[name] = sum(
        float(value.detach())
        for key, value in losses.items()
        if key.startswith('distill')
    )
    for parameter in model.parameters():
        parameter.grad = None


def measure(name: str, rounds: int) -> dict[str, Any]:
    pair = PAIRS[name]
    init_default_scope(pair['scope'])
    algorithm = MODELS.build(ours(pair)).train()
    batch = batch_of(algorithm.architecture, pair['size'])
    teacher = algorithm.teachers['teacher']
    recorder = algorithm.distiller.recorders['teacher']
    seen: dict[str, float] = {}

    def teacher_only() -> None:
        teacher.run(recorder, batch['inputs'], batch['data_samples'])
        recorder.clear()

    student = algorithm.architecture
    jobs = {
        'student': lambda: step(student, batch, seen, 'student'),
        'teacher to last tap': teacher_only,
        'mmkd_ext.TeacherDistill': lambda: step(algorithm, batch, seen, 'ours'),
    }
    for rival in pair['rivals']:
        other = MODELS.build(theirs(pair, rival))
        other.architecture.load_state_dict(student.state_dict())
        other.teacher.load_state_dict(teacher.module.state_dict())
        other.train()
        jobs[f'mmrazor.{rival}'] = lambda other=other, rival=rival: step(
            other, batch, seen, rival
        )
    times = interleaved(jobs, rounds)
    floor = [a + b for a, b in zip(times['student'], times['teacher to last tap'])]
    rows = {}
    for job in jobs:
        rows[job] = {
            **summary(times[job]),
            'to_floor': ratio(times[job], floor),
            'peak_mib': round(peak_memory(jobs[job]) / 2**20, 1),
        }
    return {
        'pair': name,
        'input': list(batch['inputs'].shape),
        'rows': rows,
        'distill_loss': {key: value for key, value in seen.items() if key != 'student'},
    }


def show(result: dict[str, Any]) -> None:
    table = Table(title=f'{result["pair"]}, input {result["input"]}')
    for column in ('job', 'median ms', 'quartiles', 'x floor', 'peak MiB'):
        table.add_column(column, justify='left' if column == 'job' else 'right')
    for job, row in result['rows'].items():
        table.add_row(
            job,
            f'{row["median_ms"]:.0f}',
            f'{row["q1_ms"]:.0f} .. {row["q3_ms"]:.0f}',
            f'{row["to_floor"]["median"]:.3f}',
            f'{row["peak_mib"]:.1f}',
        )
    Console().print(table)
    Console().print('distillation loss seen:', result['distill_loss'])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pair', choices=PAIRS, action='append')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results' / 'step.json'
    )
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    results = []
    for name in args.pair or PAIRS:
        results.append(measure(name, args.rounds))
        show(results[-1])
    write({'environment': environment(), 'results': results}, args.out)


if __name__ == '__main__':
    main()
