"""RKD's angles, SemCKD and AFD beside a plain reading of each, in one run.

The plain readings do what the papers' code does: all differences of a batch as one
tensor, a projection of each pair of layers, an average of each pair.

python benchmarks/bench_layers.py [--rounds 5]
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from _measure import compare, interleaved, peak_memory, ratio, summary
from torch import Tensor

from mmkd_ext.methods import AFDLoss, RKDAngleLoss, SemCKDLoss

BATCH, WIDTH = 256, 512
#: Channels and sizes of four levels of a neck, then of four stages.
NECK = ((64, (40, 56)), (64, (20, 28)), (64, (10, 14)), (64, (5, 7)))
STAGES = ((32, (40, 56)), (64, (20, 28)), (128, (10, 14)), (256, (5, 7)))


def cosines(x: Tensor) -> Tensor:
    unit = F.normalize(x[None] - x[:, None], dim=2)
    return torch.bmm(unit, unit.transpose(1, 2))


def plain_angles(student: Tensor, teacher: Tensor) -> Tensor:
    """From the tensor of all differences, of the teacher's without gradients."""
    with torch.no_grad():
        target = cosines(teacher)
    return F.smooth_l1_loss(cosines(student), target)


def plain_semckd(
    loss: SemCKDLoss, student: list[Tensor], teacher: list[Tensor]
) -> Tensor:
    """Averages and projects each pair of layers by itself."""
    attention = loss.attention(student, teacher)
    errors = []
    for s in student:
        for t in teacher:
            size = [min(a, b) for a, b in zip(s.shape[2:], t.shape[2:])]
            projector = loss.projectors[f'{s.shape[1]}_to_{t.shape[1]}']
            projected = projector(F.adaptive_avg_pool2d(s, size))
            target = F.adaptive_avg_pool2d(t, size)
            errors.append((projected - target).square().mean((1, 2, 3)))
    shape = len(student), len(teacher)
    return (attention * torch.stack(errors, 1).unflatten(1, shape)).sum(2).mean()


def plain_afd(loss: AFDLoss, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Squares and averages each layer of the student for each of the teacher."""
    attention = loss.attention(student, teacher)
    errors = []
    for t in teacher:
        target = F.normalize(t.square().mean(1).flatten(1))
        values = [
            F.normalize(
                F.adaptive_avg_pool2d(
                    s.square().mean(1, keepdim=True), t.shape[2:]
                ).flatten(1)
            )
            for s in student
        ]
        errors.append((torch.stack(values, 1) - target[:, None]).square().mean(2))
    return (attention * torch.stack(errors, 1)).sum() / len(student[0])


def layers(levels: Any, *, gradient: bool) -> list[Tensor]:
    return [torch.randn(4, c, *size, requires_grad=gradient) for c, size in levels]


def cases() -> dict[str, tuple[Any, Any, dict[str, Any]]]:
    """Ours, the plain reading, and what else is noted, of each case."""
    torch.manual_seed(0)
    student = torch.randn(BATCH, WIDTH, requires_grad=True)
    teacher = torch.randn(BATCH, WIDTH)
    angle = RKDAngleLoss(max_memory=16)
    out: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        f'RKD angles, {BATCH} x {WIDTH}': (
            lambda: angle(student, teacher),
            lambda: plain_angles(student, teacher),
            dict(
                shape=[BATCH, WIDTH],
                differences_mib=BATCH * BATCH * WIDTH * 4 / 2**20,
            ),
        )
    }
    for name, levels in (('neck', NECK), ('stages', STAGES)):
        sides = layers(levels, gradient=True), layers(levels, gradient=False)
        channels = [c for c, _ in levels]
        semckd = SemCKDLoss(channels, channels, batch_size=4)
        afd = AFDLoss(channels, channels)
        for title, loss, plain in (
            ('SemCKD', semckd, plain_semckd),
            ('AFD', afd, plain_afd),
        ):
            out[f'{title}, {name}'] = (
                lambda loss=loss, sides=sides: loss(*sides),
                lambda loss=loss, sides=sides, plain=plain: plain(loss, *sides),
                dict(shape=list(sides[0][0].shape)),
            )
    return out


def measure(name: str, ours: Any, plain: Any, more: Any, rounds: int) -> dict[str, Any]:
    found: dict[str, float] = {}

    def job(key: str, run: Any) -> Any:
        def step() -> None:
            value = run()
            value.backward()
            found[key] = float(value.detach())

        return step

    jobs = {'mmkd_ext': job('mmkd_ext', ours), 'plain': job('plain', plain)}
    times = interleaved(jobs, rounds, warmup=1)
    peaks = {key: round(peak_memory(run) / 2**20, 2) for key, run in jobs.items()}
    return {
        'loss': name,
        'relative_error': abs(found['mmkd_ext'] / found['plain'] - 1),
        'time': {key: summary(value) for key, value in times.items()},
        'time_ratio': ratio(times['mmkd_ext'], times['plain']),
        'peak_mib': peaks,
        'peak_ratio': round(peaks['mmkd_ext'] / peaks['plain'], 4),
        **more,
    }


if __name__ == '__main__':
    compare(__doc__, cases(), measure, 'plain', 'layers.json')
