"""What each shipped detection method adds to a training step, in one run.

    python benchmarks/bench_methods.py [--only fgd mgd ...] [--rounds 9]

The links are those of a shipped config; the models are small ones of the same family
(R50 teaches R18), so that every method runs on the same pair. The floor of a method is
the student's own step, the teacher's forward to its last tap without gradients, and
the convolutions that the method itself brings (forward and backward).
"""

from __future__ import annotations

import argparse
import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from _measure import environment, interleaved, peak_memory, ratio, summary, write
from bench_step import batch_of, plain
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from mmkd_ext.registry import MODELS

CONFIGS = Path(__file__).parents[1] / 'configs' / 'distill' / 'mmdet'
R18 = dict(depth=18, init_cfg=None)
NARROW = dict(in_channels=[64, 128, 256, 512])
FAMILIES = {
    'retinanet': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'gfl': 'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
    'faster-rcnn': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
}
# method: family, and the config whose links are measured (the start of its name)
METHODS = {
    'cwd (neck)': ('retinanet', 'cwd/cwd-fpn_retinanet-r101'),
    'fitnets': ('retinanet', 'fitnets/fitnets-fpn_retinanet-r101'),
    'pkd': ('retinanet', 'pkd/pkd-fpn_fcos-x101_retinanet-r50'),
    'mgd': ('retinanet', 'mgd/mgd-fpn_retinanet-x101'),
    'fgd': ('retinanet', 'fgd/fgd-fpn_retinanet-x101'),
    'reviewkd': ('retinanet', 'reviewkd/reviewkd-fpn_retinanet-r101'),
    'defeat': ('retinanet', 'defeat/defeat-fpn_retinanet'),
    'fgfi': ('retinanet', 'fgfi/fgfi-fpn_retinanet'),
    'dist (dense head)': ('retinanet', 'dist/dist-dense_retinanet'),
    'cwd (class head)': ('gfl', 'cwd/cwd-cls_gfl-r101_gfl-r50'),
    'ld (main)': ('gfl', 'ld/ld-main_gfl-r101_gfl-r50'),
    'ld (full)': ('gfl', 'ld/ld-full_gfl-r101_gfl-r50'),
    'dkd (dense head)': ('gfl', 'dkd/dkd-dense'),
    'dkd (RoI head)': ('faster-rcnn', 'dkd/dkd-roi_faster-rcnn-r101'),
    'kd (RoI head)': ('faster-rcnn', 'kd/kd-roi'),
}
SIZE = 320


def links_of(start: str) -> tuple[Path, ConfigDict]:
    """The distiller of the first shipped config whose path begins so."""
    found = sorted(CONFIGS.glob(f'{start}*.py'))
    if not found:
        raise SystemExit(f'No config begins with {start!r} in {CONFIGS}.')
    return found[0], Config.fromfile(found[0]).model.distiller


def algorithm_of(family: str, distiller: ConfigDict) -> nn.Module:
    student = plain(FAMILIES[family])
    student.backbone.update(R18)
    student.neck.update(NARROW)
    config = dict(
        type='mmkd_ext.TeacherDistill',
        architecture=student,
        teacher=plain(FAMILIES[family]),
        distiller=copy.deepcopy(distiller),
    )
    return MODELS.build(ConfigDict(config)).train()


def step(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Forward and backward of everything; returns the losses."""
    torch.manual_seed(0)
    losses = model(**batch, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    for parameter in model.parameters():
        parameter.grad = None
    return losses


def own_layers(algorithm: nn.Module, batch: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Layers with weights that the method brings, with the inputs of one step."""
    calls: list[tuple[Any, Any]] = []

    def note(module: nn.Module, inputs: Any) -> None:
        calls.append((module, [x.detach().requires_grad_() for x in inputs]))

    handles = [
        module.register_forward_pre_hook(note)
        for module in algorithm.distiller.modules()
        if any(True for _ in module.parameters(recurse=False))
        and not list(module.children())
    ]
    try:
        step(algorithm, batch)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def replay(calls: list[tuple[Any, Any]]) -> None:
    for module, inputs in calls:
        output = module(*inputs)
        output.backward(torch.ones_like(output))
    for module, inputs in calls:
        for value in [*module.parameters(), *inputs]:
            value.grad = None


def measure(name: str, rounds: int) -> dict[str, Any]:
    family, start = METHODS[name]
    path, distiller = links_of(start)
    init_default_scope('mmdet')
    algorithm = algorithm_of(family, distiller)
    batch = batch_of(algorithm.architecture, SIZE)
    teacher = algorithm.teachers['teacher']
    recorder = algorithm.distiller.recorders['teacher']

    def teacher_only() -> None:
        teacher.run(recorder, batch['inputs'], batch['data_samples'])
        recorder.release()

    calls = own_layers(algorithm, batch)
    jobs = {
        'student': lambda: step(algorithm.architecture, batch),
        'teacher': teacher_only,
        'own layers': lambda: replay(calls),
        'step': lambda: step(algorithm, batch),
    }
    times = interleaved(jobs, rounds)
    floor = [sum(parts) for parts in zip(*(times[job] for job in list(jobs)[:3]))]
    losses = step(algorithm, batch)
    parameters = sum(p.numel() for p in algorithm.distiller.parameters())
    return {
        'method': name,
        'config': path.name,
        'family': family,
        'input': list(batch['inputs'].shape),
        'to_floor': ratio(times['step'], floor),
        'to_student': ratio(times['step'], times['student']),
        'times': {job: summary(times[job]) for job in jobs},
        'own_parameters': parameters,
        'peak_mib': {
            job: round(peak_memory(jobs[job]) / 2**20, 1) for job in ('student', 'step')
        },
        'losses': {
            key: float(value.detach())
            for key, value in losses.items()
            if key.startswith('distill')
        },
    }


def show(results: list[dict[str, Any]]) -> None:
    table = Table(title=f'A training step at {SIZE} x {SIZE}, batch 2, R50 -> R18')
    heads = ('method', 'family', 'x floor', 'x student', 'own parameters', 'peak MiB')
    for head in heads:
        table.add_column(head, justify='left' if head in heads[:2] else 'right')
    for row in results:
        peak = row['peak_mib']
        table.add_row(
            row['method'],
            row['family'],
            f'{row["to_floor"]["median"]:.3f}',
            f'{row["to_student"]["median"]:.2f}',
            f'{row["own_parameters"]:,}',
            f'{peak["step"]:.0f} ({peak["student"]:.0f} alone)',
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', default=[], help='starts of method names')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results' / 'methods.json'
    )
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    wanted = [
        name
        for name in METHODS
        if not args.only or any(name.startswith(start) for start in args.only)
    ]
    results = []
    for name in wanted:
        results.append(measure(name, args.rounds))
        show(results[-1:])
        write({'environment': environment(), 'results': results}, args.out)
    show(results)


if __name__ == '__main__':
    main()
