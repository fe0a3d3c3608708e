"""How well attention maps agree, and how many are made in a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from torch import Tensor

from mmkd_ext.errors import check_integer
from mmkd_ext.registry import HOOKS, METRICS

__all__ = ['AttentionMetric', 'FramesPerSecond', 'agreement']


def agreement(found: Tensor, truth: Tensor) -> tuple[float, float]:
    """Returns correlation in percent and KL divergence in nats of two maps.

    Args:
        found: ``(h w)``, of sum 1.
        truth: Likewise; the divergence is that of ``found`` from it.

    Examples:
        >>> one = torch.tensor([[0.5, 0.25], [0.25, 0.0]])
        >>> agreement(one, one)
        (100.0, 0.0)
    """
    cc = torch.corrcoef(torch.stack([found.flatten(), truth.flatten()]))[0, 1]
    # what is 0 in `truth` counts for nothing; `found` may be 0 by underflow
    kl = truth.xlogy(truth) - truth.xlogy(found.clamp(min=1e-12))
    return 100 * float(cc), float(kl.sum())


@METRICS.register_module()
class AttentionMetric(BaseMetric):
    """``video/CC``, correlation in percent, and ``video/KL``: means over videos."""

    default_prefix = 'video'

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps both of each video."""
        pairs = [agreement(one['map'], one['truth']) for one in data_samples]
        self.results.extend(pairs)

    def compute_metrics(self, results: list[tuple[float, float]]) -> dict[str, float]:
        """Returns the means."""
        cc, kl = (sum(column) / len(results) for column in zip(*results))
        return {'CC': cc, 'KL': kl}


@HOOKS.register_module()
class FramesPerSecond(Hook):
    """Adds ``video/frames/s`` to the figures of a test.

    Processor time of this process, one video at a time, the median of `repeats`.

    Args:
        size: Height and width of the frames.
        frames: Of each video.
        repeats: Number of passes that count, after a tenth that do not.
    """

    priority = 'HIGH'  # before the logger

    def __init__(self, size: int = 48, frames: int = 3, repeats: int = 100) -> None:
        check_integer('FramesPerSecond.repeats', repeats, ge=1)
        self.shape, self.repeats = (1, frames, size, size), repeats

    @torch.no_grad()
    def after_test_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Measures the model, which is in eval mode."""
        model = getattr(runner.model, 'architecture', runner.model)
        video, times = torch.rand(self.shape), []
        for _ in range(self.repeats + self.repeats // 10):
            begun = time.process_time()
            model(video, mode='tensor')
            times.append(time.process_time() - begun)
        metrics['video/frames/s'] = 1 / statistics.median(times[-self.repeats :])
