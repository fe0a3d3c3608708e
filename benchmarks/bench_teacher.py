"""Time of a teacher's pass to its last tap, by precision, memory format and compiling.

    python benchmarks/bench_teacher.py [--pair cifar10|camvid|retinanet] [--rounds 9]

Each is a ratio to float32, beside the error of what is recorded: the norm of the
difference over that in float32. Weights are random, the statistics of batch
normalisation those of a few batches.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from _measure import environment, interleaved, ratio, summary, write
from bench_step import PAIRS, ours
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table

from mmkd_ext.algorithms.dry_run import blank_batch
from mmkd_ext.distillers.taps import tensors_of
from mmkd_ext.registry import MODELS

FOLDER = Path(__file__).parent / 'configs'
CASES: dict[str, dict[str, Any]] = {
    'cifar10': dict(config='cifar10/kd_resnet56_resnet8.py', batch=64, size=(32, 32)),
    'camvid': dict(
        config='camvid/cwd-logits_fpn-r18-w32_fpn-r18-w8.py', batch=4, size=(176, 240)
    ),
    'retinanet': dict(pair='retinanet', batch=1, size=(320, 320)),
}
VARIANTS: dict[str, dict[str, Any]] = {
    'fp32': {},
    'bf16': dict(precision='bf16'),
    'bf16, weights cast': dict(precision='bf16', cast=True),
    'fp32, channels_last': dict(channels_last=True),
    'bf16, channels_last': dict(precision='bf16', channels_last=True),
    'fp32, compiled': dict(compile=True),
    'fp16': dict(precision='fp16'),
}


def build(case: dict[str, Any], compiled: bool) -> Any:
    if 'pair' in case:
        pair = PAIRS[case['pair']]
        init_default_scope(pair['scope'])
        config = ours(pair)
    else:
        whole = Config.fromfile(FOLDER / case['config'])
        init_default_scope(whole.get('default_scope'))
        config = ConfigDict(whole.model, teacher_ckpt=None)
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(config, compile=compiled))


def measure(name: str, rounds: int, variants: list[str]) -> dict[str, Any]:
    case, jobs, errors, first = CASES[name], {}, {}, {}
    torch.manual_seed(0)
    inputs = torch.randn(case['batch'], 3, *case['size'])
    weights, reference = None, None
    for variant in variants:
        settings = VARIANTS[variant]
        algorithm = build(case, settings.get('compile', False))
        teacher = algorithm.teachers['teacher']
        recorder, module = algorithm.distiller.recorders['teacher'], teacher.module
        samples = blank_batch(module, algorithm.input_size)['data_samples']
        samples = samples[:1] * len(inputs)
        if weights is None:
            module.train()
            for _ in range(3):
                module(inputs, samples, mode='tensor')
            module.eval()
            weights = module.state_dict()
        module.load_state_dict(weights)
        teacher.precision = settings.get('precision')
        fed = inputs
        if settings.get('channels_last'):
            module.to(memory_format=torch.channels_last)
            fed = inputs.contiguous(memory_format=torch.channels_last)
        for part in module.modules() if settings.get('cast') else ():
            if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)):
                part.to(torch.bfloat16)

        def job(
            teacher: Any = teacher,
            recorder: Any = recorder,
            fed: Any = fed,
            samples: Any = samples,
        ) -> list[torch.Tensor]:
            teacher.run(recorder, fed, samples)
            values = tensors_of([recorder.value(tap) for tap in recorder.taps])
            recorder.clear()
            return values

        start = time.process_time()
        found = job()
        first[variant] = time.process_time() - start
        reference = reference or found
        errors[variant] = max(
            float((a - b).norm() / b.norm()) for a, b in zip(found, reference)
        )
        jobs[variant] = job
    # a CPU has no arithmetic of float16, and takes so long that once is enough
    once = set() if torch.cuda.is_available() else {'fp16'} & jobs.keys()
    times = interleaved({k: job for k, job in jobs.items() if k not in once}, rounds, 1)
    times.update({variant: [first[variant]] * rounds for variant in once})
    return {
        'teacher': name,
        'input': list(inputs.shape),
        'rows': {
            variant: {
                **summary(times[variant]),
                'to_fp32': ratio(times[variant], times['fp32']),
                'error': round(errors[variant], 5),
            }
            for variant in variants
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pair', choices=CASES, action='append')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--skip', choices=[*VARIANTS][1:], action='append', default=[])
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results' / 'teacher.json'
    )
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    variants = [variant for variant in VARIANTS if variant not in args.skip]
    results = []
    for name in args.pair or CASES:
        results.append(measure(name, args.rounds, variants))
        table = Table(title=f'{name}, input {results[-1]["input"]}')
        for column in ('variant', 'median ms', 'x fp32', 'error'):
            table.add_column(column, justify='left' if column == 'variant' else 'right')
        for variant, row in results[-1]['rows'].items():
            table.add_row(
                variant,
                f'{row["median_ms"]:.0f}',
                f'{row["to_fp32"]["median"]:.3f}',
                f'{row["error"]:.5f}',
            )
        Console().print(table)
    write({'environment': environment(), 'results': results}, args.out)


if __name__ == '__main__':
    main()
