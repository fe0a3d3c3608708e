"""What boxes cost FGD: its loss with many boxes an image beside the same with one.

    python benchmarks/bench_boxes.py [--boxes 100] [--rounds 7]

P3 to P7 of an 800 x 1344 input, 256 channels, one image, forward and backward.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from _measure import environment, interleaved, peak_memory, ratio, summary, write

from mmkd_ext.methods import FGDLoss

SIZE, CHANNELS = (800, 1344), 256
LEVELS = [(100, 168), (50, 84), (25, 42), (13, 21), (7, 11)]


def sample(boxes: int, generator: torch.Generator) -> Any:
    """One image with random boxes of 8 to 400 pixels."""
    height, width = SIZE
    corner = torch.rand(boxes, 2, generator=generator) * torch.tensor([width, height])
    extent = 8 + torch.rand(boxes, 2, generator=generator) * 392
    end = torch.minimum(corner + extent, torch.tensor([width, height]))
    return SimpleNamespace(
        gt_instances=SimpleNamespace(bboxes=torch.cat([corner, end], 1)),
        metainfo={'batch_input_shape': SIZE},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--boxes', type=int, default=100)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results' / 'boxes.json'
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    student, teacher = (
        tuple(torch.randn(1, CHANNELS, *size, generator=generator) for size in LEVELS)
        for _ in range(2)
    )
    for level in student:
        level.requires_grad_()
    loss = FGDLoss(channels=CHANNELS, levels=len(LEVELS))

    def job(boxes: int) -> Any:
        samples = [sample(boxes, generator)]

        def run() -> None:
            loss(student, teacher, data_samples=samples).backward()
            for tensor in (*student, *loss.parameters()):
                tensor.grad = None

        return run

    jobs = {'one box': job(1), 'many boxes': job(args.boxes)}
    times = interleaved(jobs, args.rounds)
    result = {
        'boxes': args.boxes,
        'input': list(SIZE),
        'time': {key: summary(value) for key, value in times.items()},
        'time_ratio': ratio(times['many boxes'], times['one box']),
        'peak_mib': {
            key: round(peak_memory(run) / 2**20, 1) for key, run in jobs.items()
        },
    }
    print(result)
    write({'environment': environment(), 'result': result}, args.out)


if __name__ == '__main__':
    main()
