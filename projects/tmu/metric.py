"""How far predicted frames are from those that came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mmkd_ext.registry import METRICS

__all__ = ['NextFrameError']


@METRICS.register_module()
class NextFrameError(BaseMetric):
    """Squared error of a predicted frame, summed over its pixels, as on Moving MNIST.

    ``video/MSE`` is the mean over frames and videos; ``video/MSE of the last`` that of
    repeating the last frame that was read, which is what a prediction has to beat.
    """

    default_prefix = 'video'

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps both errors of each video."""
        for sample in data_samples:
            self.results.append(
                [
                    float((found - sample['truth']).square().sum((1, 2)).mean())
                    for found in (sample['frames'], sample['last'])
                ]
            )

    def compute_metrics(self, results: list[list[float]]) -> dict[str, float]:
        """Returns the means."""
        found, last = (sum(column) / len(results) for column in zip(*results))
        return {'MSE': found, 'MSE of the last': last}
