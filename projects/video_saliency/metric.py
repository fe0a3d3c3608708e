"""How well attention maps agree, and how many are made in a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook

from mmkd_ext.registry import HOOKS, METRICS

__all__ = ['AttentionMetric', 'FramesPerSecond']


@METRICS.register_module()
class AttentionMetric(BaseMetric):
    """``video/CC``, correlation in percent, and ``video/KL``: means over videos.

    The divergence is that of the predicted map from the made one, in nats.
    """

    default_prefix = 'video'

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps both of each video."""
        for sample in data_samples:
            found, truth = sample['map'].flatten(), sample['truth'].flatten()
            cc = torch.corrcoef(torch.stack([found, truth]))[0, 1]
            # where `truth` is 0 nothing counts; `found` may be 0 by underflow
            kl = truth.xlogy(truth) - truth.xlogy(found.clamp(min=1e-12))
            self.results.append((100 * float(cc), float(kl.sum())))

    def compute_metrics(self, results: list[tuple[float, float]]) -> dict[str, float]:
        """Returns the means."""
        cc, kl = (sum(column) / len(results) for column in zip(*results))
        return {'CC': cc, 'KL': kl}


@HOOKS.register_module()
class FramesPerSecond(Hook):
    """Adds ``video/frames/s`` to the figures of a test.

    Processor time for one video of `frames` frames of `size` pixels a side: the median
    of `repeats` passes, after a tenth of them that do not count.
    """

    priority = 'HIGHEST'  # before the figures are taken for the log

    def __init__(self, size: int = 48, frames: int = 3, repeats: int = 100) -> None:
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
