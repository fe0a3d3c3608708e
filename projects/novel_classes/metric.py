"""Accuracy on known and on novel classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from numpy.typing import NDArray

from mmkd_ext.errors import check_integer
from mmkd_ext.registry import METRICS

__all__ = ['NovelAccuracy', 'matched']


def matched(counts: NDArray[np.int64]) -> int:
    """Returns how many are right if each cluster is the class that suits best.

    The Hungarian method of :func:`scipy.optimize.linear_sum_assignment`.

    Args:
        counts: Of each cluster and class ``(clusters classes)``.

    Examples:
        >>> matched(np.array([[1, 9], [6, 5]]))
        15
    """
    from scipy.optimize import linear_sum_assignment

    return int(counts[linear_sum_assignment(counts, maximize=True)].sum())


@METRICS.register_module()
class NovelAccuracy(BaseMetric):
    """Accuracy in percent where the predictions of novel classes have no names.

    All pictures are predicted among all classes. ``novel/known`` is the accuracy on
    known ones; ``novel/novel`` that on novel ones after each predicted novel class is
    matched with a true one, where a known class is wrong; ``novel/all`` that on all.

    Args:
        num_known: Number of known classes; labels from there on are novel.
        kwargs: As for mmengine's ``BaseMetric``.
    """

    default_prefix = 'novel'

    def __init__(self, num_known: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_integer('num_known', num_known, ge=1)
        self.num_known = num_known

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps prediction and truth of each picture."""
        for sample in data_samples:
            pair = int(sample['pred_label']), int(sample['gt_label'])
            self.results.append(pair)

    def compute_metrics(self, results: list[tuple[int, int]]) -> dict[str, float]:
        """Returns the three accuracies."""
        predicted, truth = np.array(results).T
        novel, k = truth >= self.num_known, self.num_known
        found = novel & (predicted >= k)
        size = int(max(predicted.max(), truth.max())) - k + 1
        counts = np.zeros((max(size, 0),) * 2, np.int64)
        np.add.at(counts, (predicted[found] - k, truth[found] - k), 1)
        right = int((predicted == truth)[~novel].sum()), matched(counts)
        total = int((~novel).sum()), int(novel.sum())
        return {
            'known': 100 * right[0] / max(total[0], 1),
            'novel': 100 * right[1] / max(total[1], 1),
            'all': 100 * sum(right) / sum(total),
        }
