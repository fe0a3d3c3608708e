"""Time and memory of CRD's contrast beside the gather of its rows, in one run.

The direct form gathers the B x (K + 1) rows of the memory and multiplies them, as the
authors' code does; forward and backward, one memory. With the 50,000 samples of
CIFAR-100 ours multiplies the whole memory; with those of ImageNet it gathers too, in
chunks. Values differ by the authors' 1e-7, which adds about 1e-7 times the samples.

python benchmarks/bench_contrast.py [--rounds 5]
"""

from __future__ import annotations

import gc
from typing import Any, Callable

import torch
from _measure import compare, interleaved, peak_memory, ratio, summary
from torch import Tensor

from mmkd_ext.methods.crd import noise_contrast

NEGATIVES, CHANNELS, TAU = 16384, 128, 0.07
#: Samples of the data set, and of the batch.
CASES = {'CIFAR-100': (50_000, 64), 'ImageNet': (1_281_167, 64)}


def direct(anchors: Tensor, memory: Tensor, indices: Tensor, z: Tensor) -> Tensor:
    rows = memory[indices.flatten()].reshape(*indices.shape, -1)
    scores = (torch.bmm(rows, anchors.unsqueeze(2)).squeeze(2) / TAU).exp() / z
    floor = NEGATIVES / len(memory)
    own = scores[:, 0] / (scores[:, 0] + floor + 1e-7)
    others = floor / (scores[:, 1:] + floor + 1e-7)
    return -(own.log() + others.log().sum(1))


def measure(name: str, samples: int, batch: int, rounds: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    memory, anchors = (
        torch.nn.functional.normalize(torch.randn(n, CHANNELS, generator=generator))
        for n in (samples, batch)
    )
    indices = torch.randint(samples, (batch, NEGATIVES + 1), generator=generator)
    anchors.requires_grad_()
    # as the first step sets it
    z = torch.tensor(float(samples) * 2.5)
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def job(key: str, loss: Callable[[], Tensor]) -> Callable[[], None]:
        def run() -> None:
            value = loss()
            value.mean().backward()
            found[key] = value.detach(), anchors.grad
            anchors.grad = None

        return run

    jobs = {
        'mmkd_ext': job(
            'mmkd_ext',
            lambda: noise_contrast(anchors, memory, indices, normalizer=z, tau=TAU),
        ),
        'gather': job('gather', lambda: direct(anchors, memory, indices, z)),
    }
    times = interleaved(jobs, rounds, warmup=1)
    error = [
        float((ours - other).norm() / other.norm())
        for ours, other in zip(found['mmkd_ext'], found['gather'])
    ]
    peaks = {}
    for key, run in jobs.items():
        found.clear()
        gc.collect()
        peaks[key] = round(peak_memory(run) / 2**20, 2)
    return {
        'loss': f'CRD, {name}, {samples:,} samples',
        'shape': [batch, NEGATIVES + 1, CHANNELS],
        'relative_error': {'value': error[0], 'gradient': error[1]},
        'time': {key: summary(value) for key, value in times.items()},
        'time_ratio': ratio(times['mmkd_ext'], times['gather']),
        'peak_mib': peaks,
        'peak_ratio': round(peaks['mmkd_ext'] / peaks['gather'], 4),
    }


if __name__ == '__main__':
    compare(__doc__, CASES, measure, 'gather', 'contrast.json')
