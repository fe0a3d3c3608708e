"""Judging a network in the classes of another data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmkd_ext.errors import ConfigError
from mmkd_ext.evaluation.segmentation import ClassIoUMetric
from mmkd_ext.functional import merge_classes
from mmkd_ext.registry import METRICS

__all__ = ['MergedClassIoUMetric', 'merge_classes']


@METRICS.register_module()
class MergedClassIoUMetric(ClassIoUMetric):
    """`ClassIoUMetric` of a network whose outputs are finer classes than the data's.

    The probabilities of all outputs of a class are added before the largest wins,
    which is more than renaming the winner: wall and building may each lose to a tree
    that both together beat.

    Args:
        class_map: For each output of the network the class of the data.
        args: As `ClassIoUMetric`.
        kwargs: Likewise.

    Raises:
        ConfigError: The network has another number of outputs.
    """

    def __init__(self, *args: Any, class_map: Sequence[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.class_map = list(class_map)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes the predictions of a batch.

        Args:
            data_batch: Not used.
            data_samples: As mmseg's segmentors give them, with ``seg_logits``.
        """
        samples = []
        for sample in data_samples:
            logits = sample['seg_logits']['data']
            if len(logits) != len(self.class_map):
                raise ConfigError(
                    f'`class_map` names the classes of {len(self.class_map)} outputs, '
                    f'but the network has {len(logits)}. Give one class an output.'
                )
            merged = merge_classes(logits[None], self.class_map)
            samples.append({**sample, 'pred_sem_seg': {'data': merged.argmax(1)}})
        super().process(data_batch, samples)
