"""Time, memory and error of relation losses beside their direct forms, in one run.

KA's and SKDS' affinity terms against matrices of all pairs of positions, IFVD against
its loop over the classes; forward and backward, the teacher frozen.

python benchmarks/bench_affinity.py [--rounds 5]
"""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any, Callable

import torch
import torch.nn.functional as F
from _measure import compare, interleaved, peak_memory, ratio, summary
from torch import Tensor

from mmkd_ext.methods import IFVDLoss, KAAffinityLoss, SKDSPairwiseLoss

MAP = (1, 128, 64, 128)
CLASSES = 19
Loss = Callable[[Tensor, Tensor], Tensor]


def affinity(x: Tensor) -> Tensor:
    x = F.normalize(x.flatten(2))
    return x.transpose(1, 2) @ x


def dense_ka(student: Tensor, teacher: Tensor) -> Tensor:
    return (affinity(student) - affinity(teacher)).norm(dim=2).mean()


def dense_skds(student: Tensor, teacher: Tensor) -> Tensor:
    return (affinity(student) - affinity(teacher)).square().mean()


def street_labels(shape: tuple[int, ...]) -> Tensor:
    """Labels in patches of 8 x 8 pixels, a tenth of them ignored."""
    generator = torch.Generator().manual_seed(0)
    n, _, h, w = shape
    labels = torch.randint(0, CLASSES + 2, (n, h // 8, w // 8), generator=generator)
    labels = labels.masked_fill(labels >= CLASSES, 255)
    return labels.repeat_interleave(8, 1).repeat_interleave(8, 2)


def looped_ifvd(labels: Tensor) -> Loss:
    def similarity(feature: Tensor) -> Tensor:
        centre = feature.clone()
        for k in range(CLASSES):
            mask = (labels == k).unsqueeze(1).to(feature)
            count = mask.sum((2, 3), keepdim=True)
            mean = (mask * feature).sum((2, 3), keepdim=True) / (count + 1e-6)
            centre = (1 - mask) * centre + mask * mean
        return torch.cosine_similarity(feature, centre, dim=1)

    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        with torch.no_grad():
            target = similarity(teacher)
        return F.mse_loss(similarity(student), target)

    return loss


def fast_ifvd(labels: Tensor) -> Loss:
    loss = IFVDLoss(CLASSES)
    samples = [
        SimpleNamespace(gt_sem_seg=SimpleNamespace(data=y[None])) for y in labels
    ]
    return lambda student, teacher: loss(student, teacher, data_samples=samples)


def cases() -> dict[str, tuple[tuple[int, ...], Loss, Loss]]:
    ifvd = (1, 512, 64, 128)
    labels = street_labels(ifvd)
    return {
        'KA affinity': (MAP, KAAffinityLoss(), dense_ka),
        'SKDS, each pixel a region': (
            MAP,
            SKDSPairwiseLoss(scale=1e-6, norm_gradient=True),
            dense_skds,
        ),
        f'IFVD, {CLASSES} classes': (ifvd, fast_ifvd(labels), looped_ifvd(labels)),
    }


def measure(
    name: str, shape: tuple[int, ...], fast: Loss, direct: Loss, rounds: int
) -> dict[str, Any]:
    torch.manual_seed(0)
    student = torch.randn(shape, requires_grad=True)
    teacher = torch.randn(shape)
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def job(key: str, loss: Loss) -> Callable[[], None]:
        def run() -> None:
            value = loss(student, teacher)
            value.backward()
            found[key] = value.detach(), student.grad
            student.grad = None

        return run

    jobs = {'mmkd_ext': job('mmkd_ext', fast), 'direct': job('direct', direct)}
    times = interleaved(jobs, rounds, warmup=1)
    error = [
        float((ours - other).norm() / other.norm())
        for ours, other in zip(found['mmkd_ext'], found['direct'])
    ]
    found.clear()
    gc.collect()
    peaks = {}
    for key, run in jobs.items():
        peaks[key] = round(peak_memory(run) / 2**20, 2)
        found.clear()
    return {
        'loss': name,
        'shape': list(shape),
        'relative_error': {'value': error[0], 'gradient': error[1]},
        'time': {key: summary(value) for key, value in times.items()},
        'time_ratio': ratio(times['mmkd_ext'], times['direct']),
        'peak_mib': peaks,
        'peak_ratio': round(peaks['mmkd_ext'] / peaks['direct'], 4),
    }


if __name__ == '__main__':
    compare(__doc__, cases(), measure, 'direct', 'affinity.json')
