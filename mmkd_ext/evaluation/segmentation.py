"""A mIoU metric that also returns the IoU of every class."""

from __future__ import annotations

from typing import Any

from mmseg.evaluation import IoUMetric

from mmkd_ext.registry import METRICS

__all__ = ['ClassIoUMetric']


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """mmseg's ``IoUMetric`` that also returns ``IoU.<class>`` in percent.

    mmseg prints the classes as a table and forgets them; here they lie in the JSON of
    the test, so reports and tables need not read logs. A class that occurs neither in
    the truth nor in a prediction has no IoU: it is left out, and mIoU is the mean of
    the others, as in mmseg.

    Args:
        args: As ``mmseg.evaluation.IoUMetric``.
        kwargs: Likewise.
    """

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Returns mmseg's figures and one more a class."""
        metrics = dict(super().compute_metrics(results))
        if self.format_only or not results:
            return metrics
        names = self.dataset_meta['classes']
        intersection, union = (
            sum(result[index] for result in results) for index in (0, 1)
        )
        for name, part, whole in zip(names, intersection, union):
            if float(whole) > 0:
                metrics[f'IoU.{name}'] = round(100 * float(part) / float(whole), 2)
        return metrics
