"""Ground truth of segmentation samples.

It is read by attribute, so mmseg's ``SegDataSample`` works, and no method has to
import mmseg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from mmkd_ext.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ['labelled', 'labels_at']


def labels_at(data_samples: Sequence[Any], feature: Tensor) -> Tensor:
    """Returns the label maps of a batch at the size of a feature.

    Args:
        data_samples: For each image an object with ``gt_sem_seg.data``, ``(1 h w)`` or
            ``(h w)``.
        feature: Feature ``(n c h w)``, for its size and device.

    Returns:
        Label of the nearest pixel, as `torch.nn.functional.interpolate` takes it,
        ``(n h w)``.

    Raises:
        ConfigError: A sample has no label map.
        ShapeError: The number of samples is not that of the images, or label maps of a
            batch differ in size.
    """
    if data_samples is None or len(data_samples) != feature.shape[0]:
        count = 'none' if data_samples is None else len(data_samples)
        raise ShapeError(
            f'`data_samples` must be one for each of {feature.shape[0]} images, but '
            f'there are {count}.'
        )
    maps = []
    for sample in data_samples:
        labels = getattr(getattr(sample, 'gt_sem_seg', None), 'data', None)
        if not isinstance(labels, torch.Tensor):
            raise ConfigError(
                f'`data_samples` have no `gt_sem_seg.data` (`{type(sample).__name__}`);'
                ' this loss needs the labels of segmentation.'
            )
        maps.append(labels.reshape(1, *labels.shape[-2:]))
    sizes = {tuple(labels.shape[1:]) for labels in maps}
    if len(sizes) > 1:
        raise ShapeError(
            f'label maps of one batch differ in size: {sorted(sizes)}; pad them to one.'
        )
    # labels are small integers, which float32 holds exactly
    stacked = torch.stack(maps).to(feature.device, torch.float32)
    return F.interpolate(stacked, feature.shape[2:], mode='nearest')[:, 0].long()


def labelled(labels: Tensor, num_classes: int, *, ignore_index: int) -> Tensor:
    """Returns where a label is valid: neither below 0 nor the one to ignore.

    Args:
        labels: Label maps of any shape.
        num_classes: Number of classes of the logits or of the loss.
        ignore_index: Label of the pixels that are left out.

    Raises:
        ConfigError: A label that counts is none of the classes.
    """
    counts = (labels != ignore_index) & (labels >= 0)
    highest = int(labels.where(counts, -1).max()) if labels.numel() else -1
    if highest >= num_classes:
        raise ConfigError(
            f'labels reach {highest}, but there are {num_classes} classes, and '
            f'{ignore_index} is ignored. Set `num_classes`, `reduce_zero_label` of the '
            'data set, or `ignore_index` of the loss.'
        )
    return counts
