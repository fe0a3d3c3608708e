"""What each shipped method adds to a training step, in one run.

    python benchmarks/bench_methods.py [--task mmseg] [--only fgd mgd ...] [--rounds 9]

The links are those of a shipped config; the models are small ones of the same family
(R50 teaches R18), so that every method runs on the same pair. Classifiers are those of
benchmarks/configs/cifar10, ResNet-56 and ResNet-20, with 64 pictures. The floor of a
method is the student's own step, the teacher's forward to its last tap without
gradients, and the layers with weights that the method itself brings (forward and
backward). What is above it are the losses themselves. That is seen more sharply in the
parts: student, teacher, and the links alone on what was recorded.
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import torch
from _measure import environment, interleaved, peak_memory, ratio, summary, write
from bench_step import PAIRS, batch_of, plain
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from mmkd_ext.distillers.taps import _record
from mmkd_ext.registry import MODELS

ROOT = Path(__file__).parent
CONFIGS = ROOT.parent / 'configs' / 'distill'


def detectors(config: str) -> tuple[ConfigDict, ConfigDict]:
    """A detector with R50, and a student with R18 made from the same config."""
    student = plain(config)
    student.backbone.update(depth=18, init_cfg=None)
    student.neck.update(in_channels=[64, 128, 256, 512])
    return student, plain(config)


def segmentors(pair: str) -> tuple[ConfigDict, ConfigDict]:
    """Student and teacher of a pair of `bench_step`."""
    return plain(PAIRS[pair]['student']), plain(PAIRS[pair]['teacher'])


@dataclass(frozen=True)
class Task:
    """What is measured for a package.

    Args:
        size: Side of the input.
        models: Makes configs of student and teacher; without it they are those of the
            method's own config.
        families: What `models` takes, by name.
        methods: Family of each method, and how the path of its config begins.
        edits: Changes to the links of some of them.
        out: Name of the result file.
    """

    size: int
    models: Callable[[str], tuple[ConfigDict, ConfigDict]] | None
    families: dict[str, str]
    methods: dict[str, tuple[str, str]]
    edits: dict[str, dict[str, Any]]
    out: str


DETECTION = {
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
# links of DeepLabV3 pairs fit a PSPNet: names and channels of their heads are the same
SEGMENTATION = {
    'kd': ('pspnet', 'kd/kd-logits_pspnet-r101_pspnet-r18'),
    'cwd (logits)': ('pspnet', 'cwd/cwd-logits_pspnet-r101_pspnet-r18_4xb2-80k'),
    'cwd (features)': ('pspnet', 'cwd/cwd-feat_pspnet-r101_pspnet-r18'),
    'dkd': ('pspnet', 'dkd/dkd-logits_deeplabv3-r101_deeplabv3-r18'),
    'dist': ('pspnet', 'dist/dist-logits_deeplabv3-r101_deeplabv3-r18'),
    'dist (two heads)': ('pspnet', 'dist/dist-logits+aux_deeplabv3-r101_pspnet-r18'),
    'skds (pixel, pair)': ('pspnet', 'skds/skds_pspnet-r101_pspnet-r18'),
    'ifvd': ('pspnet', 'ifvd/ifvd_pspnet-r101_pspnet-r18'),
    'at': ('pspnet', 'at/at-feat_pspnet-r101_pspnet-r18'),
    'fitnets': ('pspnet', 'fitnets/fitnets-backbone_pspnet-r101_pspnet-r18'),
    'mgd': ('pspnet', 'mgd/mgd-backbone_pspnet-r101_pspnet-r18'),
    'reviewkd': ('pspnet', 'reviewkd/reviewkd-backbone_deeplabv3-r101_deeplabv3-r18'),
    'ka (stage two)': ('pspnet', 'ka/ka_deeplabv3-r101_deeplabv3-r18'),
    'cirkd': ('pspnet', 'cirkd/cirkd_deeplabv3-r101_pspnet-r18'),
    'cirkd (v2)': ('pspnet', 'cirkd/cirkd-v2_deeplabv3-r101_deeplabv3-r18'),
}
CLASSIFICATION = {
    name: ('resnet', f'{name}_resnet56_resnet20')
    for name in (
        *('kd', 'dkd', 'dist', 'wsld', 'mlld', 'tfkd', 'tolerant', 'rkd', 'at'),
        *('fitnets', 'mgd', 'reviewkd', 'vid', 'ofd', 'fsp', 'semckd', 'afd', 'srrl'),
        *('simkd', 'crd', 'sskd-head', 'sskd'),
    )
}
TASKS = {
    'mmdet': Task(
        320,
        detectors,
        {
            'retinanet': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
            'gfl': 'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
            'faster-rcnn': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        },
        DETECTION,
        # its first 400 iterations cost nothing
        {'fgfi': {'links.loss_fgfi.schedule': None}},
        'methods.json',
    ),
    'mmseg': Task(
        128,
        segmentors,
        {'pspnet': 'pspnet'},
        SEGMENTATION,
        {
            # of random weights: what it costs is the same
            'ka (stage two)': {
                'connectors.encoder.checkpoint': None,
                'connectors.encoder.stage_one': None,
            },
        },
        'methods_mmseg.json',
    ),
    'mmpretrain': Task(
        32,
        None,
        {'resnet': 'resnet56-resnet20'},
        CLASSIFICATION,
        {'sskd': {'links.loss_sskd_similarity.preds_T.connector.stage_one': None}},
        'methods_mmpretrain.json',
    ),
}
PICTURES = 64  # of a batch of classifiers


def model_of(task: str, name: str) -> tuple[Path, ConfigDict]:
    """The model of the first config whose path begins so; data and weights left out."""
    about, start = TASKS[task], TASKS[task].methods[name][1]
    folder = CONFIGS / task if about.models else ROOT / 'configs' / 'cifar10'
    found = sorted(folder.glob(f'{start}*.py'))
    if not found:
        raise SystemExit(f'No config begins with {start!r} in {folder}.')
    config = Config.fromfile(found[0])
    model = config.model
    if about.models:
        student, teacher = about.models(about.families[about.methods[name][0]])
        model = ConfigDict(
            type='mmkd_ext.TeacherDistill',
            architecture=student,
            teacher=teacher,
            distiller=model.distiller,
        )
    else:
        model.update(teacher_ckpt=None, data_preprocessor=config.data_preprocessor)
    holder = Config(dict(model=model))
    holder.merge_from_dict(
        {f'model.distiller.{k}': v for k, v in about.edits.get(name, {}).items()}
    )
    return found[0], holder.model


def classes_of(algorithm: nn.Module, batch: dict[str, Any]) -> dict[str, Any]:
    """A batch of labelled pictures of noise; CRD hears of all samples' classes."""
    generator = torch.Generator().manual_seed(0)
    sample = batch['data_samples'][0]
    batch['inputs'] = torch.randn(PICTURES, *batch['inputs'].shape[1:])
    batch['data_samples'] = [copy.deepcopy(sample) for _ in range(PICTURES)]
    for i, one in enumerate(batch['data_samples']):
        one.set_gt_label(int(torch.randint(10, (), generator=generator)))
        one.set_metainfo(dict(sample_idx=i))
    for module in algorithm.modules():
        if hasattr(module, 'set_classes'):
            module.set_classes(torch.arange(len(module.classes)) % 10)
    return batch


def with_labels(batch: dict[str, Any]) -> dict[str, Any]:
    """Gives segmentation samples labels in patches; a tenth of them is ignored."""
    generator = torch.Generator().manual_seed(0)
    for sample in batch['data_samples']:
        if 'gt_sem_seg' in sample:
            height, width = sample.gt_sem_seg.data.shape[-2:]
            patches = torch.randint(
                0, 21, (1, height // 16, width // 16), generator=generator
            )
            patches = patches.masked_fill(patches > 18, 255)
            labels = patches.repeat_interleave(16, 1).repeat_interleave(16, 2)
            sample.gt_sem_seg.data = labels
    return batch


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


def links_alone(algorithm: nn.Module, batch: dict[str, Any]) -> Callable[[], None]:
    """Records a step; the job is all that the links make of it, forward and backward.

    The models are left out, so that a small cost is not the difference of large ones.
    """
    distiller = algorithm.distiller
    recorders = distiller.recorders.values()
    compute = distiller.compute_distill_losses
    kept: list[tuple[dict[Any, Any], dict[Any, Any]]] = []

    def keep(samples: dict[str, Any]) -> dict[str, Tensor]:
        for recorder in recorders:
            records = {
                source: [_record(_leaves(call.value)) for call in calls]
                for source, calls in recorder._records.items()
            }
            kept.append((records, recorder._modules))
        return compute(samples)

    distiller.compute_distill_losses = keep
    try:
        step(algorithm, batch)
    finally:
        del distiller.compute_distill_losses

    def run() -> None:
        torch.manual_seed(0)
        for recorder, (records, modules) in zip(recorders, kept):
            recorder._records, recorder._modules = records, modules
        try:
            sum(compute(batch).values()).backward()
        finally:
            distiller.clear()
        for parameter in distiller.parameters():
            parameter.grad = None

    return run


def _leaves(value: Any) -> Any:
    """A recorded value whose tensors end the graph; gradients reach them."""

    def cut(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return x.detach().requires_grad_(x.requires_grad)

    return tree_map(cut, value)


def measure(package: str, name: str, rounds: int) -> dict[str, Any]:
    task = TASKS[package]
    family = task.methods[name][0]
    path, model = model_of(package, name)
    init_default_scope(package)
    algorithm = MODELS.build(model).train()
    batch = with_labels(batch_of(algorithm.architecture, task.size))
    if not task.models:
        algorithm.init_weights()  # what is inherited
        batch = classes_of(algorithm, batch)

    def teacher_only() -> None:
        for key, teacher in algorithm.teachers.items():  # a virtual one is none
            recorder = algorithm.distiller.recorders[key]
            teacher.run(recorder, batch['inputs'], batch['data_samples'])
            recorder.clear()

    calls = own_layers(algorithm, batch)
    jobs = {
        'student': lambda: step(algorithm.architecture, batch),
        'teacher': teacher_only,
        'own layers': lambda: replay(calls),
        'links': links_alone(algorithm, batch),
        'step': lambda: step(algorithm, batch),
    }
    times = interleaved(jobs, rounds, warmup=1)
    models = [a + b for a, b in zip(times['student'], times['teacher'])]
    floor, parts = (
        [a + b for a, b in zip(models, times[job])] for job in ('own layers', 'links')
    )
    losses = step(algorithm, batch)
    parameters = sum(p.numel() for p in algorithm.distiller.parameters())
    return {
        'method': name,
        'config': path.name,
        'family': family,
        'input': list(batch['inputs'].shape),
        'to_floor': ratio(times['step'], floor),
        # the models' time is on both sides, so its noise is not taken for a cost
        'parts_to_floor': ratio(parts, floor),
        'to_student': ratio(times['step'], times['student']),
        'times': {job: summary(times[job]) for job in jobs},
        'own_parameters': parameters,
        'peak_mib': {
            job: round(peak_memory(jobs[job], warm_up=False) / 2**20, 1)
            for job in ('student', 'links', 'step')
        },
        'losses': {
            key: float(value.detach())
            for key, value in losses.items()
            if key.startswith('distill')
        },
    }


def show(results: list[dict[str, Any]]) -> None:
    shape = results[0]['input']
    table = Table(title=f'A training step, input {shape}')
    heads = (
        'method',
        'family',
        'x floor',
        'parts x floor',
        'x student',
        'own parameters',
        'peak MiB',
    )
    for head in heads:
        table.add_column(head, justify='left' if head in heads[:2] else 'right')
    for row in results:
        peak = row['peak_mib']
        table.add_row(
            row['method'],
            row['family'],
            f'{row["to_floor"]["median"]:.3f}',
            f'{row["parts_to_floor"]["median"]:.3f}' if 'parts_to_floor' in row else '',
            f'{row["to_student"]["median"]:.2f}',
            f'{row["own_parameters"]:,}',
            f'{peak["step"]:.0f} ({peak["student"]:.0f} alone)',
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--task', choices=TASKS, default='mmdet')
    parser.add_argument(
        '--only',
        nargs='+',
        default=[],
        help='starts of method names; other rows of the file stay',
    )
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', type=Path)
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    task = TASKS[args.task]
    out = args.out or ROOT / 'results' / task.out
    wanted = [
        name
        for name in task.methods
        if not args.only or any(name.startswith(start) for start in args.only)
    ]
    rows = {row['method']: row for row in known(out)} if args.only else {}
    for name in wanted:
        rows[name] = measure(args.task, name, args.rounds)
        show([rows[name]])
        results = [rows[method] for method in task.methods if method in rows]
        write(
            {'environment': environment(), 'task': args.task, 'results': results}, out
        )
    show(list(rows.values()))


def known(out: Path) -> list[dict[str, Any]]:
    """Rows of an earlier run, which one with `--only` completes."""
    return json.loads(out.read_text())['results'] if out.is_file() else []


if __name__ == '__main__':
    main()
