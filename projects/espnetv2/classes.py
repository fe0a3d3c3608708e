"""Judging a network in the classes of another data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmkd_ext.errors import ConfigError, check_shapes
from mmkd_ext.evaluation.segmentation import ClassIoUMetric
from mmkd_ext.registry import METRICS

__all__ = ['MergedClassIoUMetric', 'merge_classes']


def merge_classes(logits: Tensor, class_map: Sequence[int]) -> Tensor:
    """Returns probabilities of merged classes.

    Args:
        logits: Of the network's own classes ``(n k h w)``.
        class_map: For each of the ``k`` outputs the class that it counts as, from 0.

    Returns:
        Sums of the softmax ``(n m h w)``, ``m`` one more than the largest class.

    Raises:
        ShapeError: ``class_map`` has another length than ``k``.

    Examples:
        >>> import torch
        >>> merge_classes(torch.zeros(1, 4, 1, 1), [0, 1, 1, 1]).flatten().tolist()
        [0.25, 0.75]
    """
    target = torch.as_tensor(class_map, device=logits.device)
    check_shapes(logits=(logits, 'n k h w'), class_map=(target, 'k'))
    n, _, h, w = logits.shape
    merged = logits.new_zeros(n, max(class_map) + 1, h, w)
    return merged.index_add_(1, target, logits.softmax(1))


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
