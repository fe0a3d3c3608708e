"""Ground truth of samples: classes of pictures, and label maps of segmentation.

It is read by attribute, so the samples of mmpretrain and mmseg work, and no method has
to import them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.errors import ConfigError, ShapeError, check_integer, check_shapes
from mmkd_ext.methods._base import PairLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    'Classes',
    'LabelledPixels',
    'LabelledPixelsLoss',
    'check_classes',
    'class_indices',
    'labelled',
    'labelled_pixels',
    'labels_at',
]

Classes = Union[Tensor, 'Sequence[Any]']
"""Index of the class of each row ``(n)``, or for each a sample with ``gt_label``."""


def check_classes(logits: Tensor) -> None:
    """Raises `ShapeError` where logits ``(n c ...)`` are of fewer than two classes."""
    if logits.dim() > 1 and logits.shape[1] < 2:
        raise ShapeError(
            f'`student` {tuple(logits.shape)} has {logits.shape[1]} channel(s), but '
            'beside the class of the label there must be another.'
        )


def class_indices(labels: Classes, logits: Tensor) -> Tensor:
    """Returns the index of the class of each row.

    Args:
        labels: Indices ``(n)``, or for each row a sample with one in ``gt_label``, as
            mmpretrain's.
        logits: Logits ``(n c)``, for their number and device.

    Returns:
        Indices ``(n)``, from 0 to ``c - 1``.

    Raises:
        ShapeError: There is not one hard label for each row. Labels that are smoothed
            or mixed have no class.
        ConfigError: A sample has no label, or a label is none of the classes.
    """
    if not isinstance(labels, Tensor):
        found = [_label_of(sample) for sample in labels]
        labels = torch.stack(found) if found else logits.new_zeros(0).long()
    rows, classes = logits.shape[:2]
    if labels.is_floating_point() or labels.dtype == torch.bool or labels.dim() != 1:
        raise ShapeError(
            f'`labels` must be an index of a class for each of {rows} rows, but are '
            f'{tuple(labels.shape)} of {labels.dtype}; smoothed and mixed labels '
            '(mixup, CutMix) have no class. Leave them out for this loss.'
        )
    if len(labels) != rows:
        raise ShapeError(
            f'`labels` must be one for each of {rows} rows, but are {len(labels)}.'
        )
    if rows and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ConfigError(
            f'labels reach from {int(labels.min())} to {int(labels.max())}, but the '
            f'logits have {classes} classes. Set `num_classes` of the head.'
        )
    return labels.to(logits.device, torch.long)


def _label_of(sample: Any) -> Tensor:
    label = getattr(sample, 'gt_label', None)
    if not isinstance(label, Tensor):
        raise ConfigError(
            f'a sample (`{type(sample).__name__}`) has no `gt_label`; this loss needs '
            'the class of each picture. Mixed labels (mixup, CutMix) have none.'
        )
    if label.numel() != 1:
        raise ShapeError(
            f'a sample has {label.numel()} labels, but this loss needs one class for '
            'each picture.'
        )
    return label.reshape(())


class LabelledPixels(NamedTuple):
    """The pixels of a batch that have a label.

    Args:
        where: Whether a pixel has one, ``(n h w)``.
        labels: Label of each that has, ``(m)``.
    """

    where: Tensor
    labels: Tensor

    def rows(self, maps: Tensor) -> Tensor:
        """Returns the channels of these pixels ``(m c)`` of maps ``(n c h w)``."""
        return maps.permute(0, 2, 3, 1)[self.where]

    def spread(self, items: Tensor) -> Tensor:
        """Returns the items of the rows as a map ``(n h w)``, 0 elsewhere.

        They are scaled such that the mean of the map is the mean of the items.
        """
        scale = self.where.numel() / max(len(items), 1)
        return items.new_zeros(self.where.shape).index_put((self.where,), items * scale)


def labelled_pixels(
    data_samples: Sequence[Any], logits: Tensor, *, ignore_index: int
) -> LabelledPixels:
    """Finds the labelled pixels of a batch at the size of its logits ``(n c h w)``.

    Raises:
        ConfigError: A sample has no label map, or a label is none of the classes.
        ShapeError: The label maps do not belong to the logits.
    """
    labels = labels_at(data_samples, logits)
    where = labelled(labels, logits.shape[1], ignore_index=ignore_index)
    return LabelledPixels(where, labels[where])


class LabelledPixelsLoss(PairLoss):
    """Base of losses of rows with a label that take the labelled pixels as rows.

    It stands after the class that has `_of_rows` for them.

    Args:
        ignore_index: Label of the pixels that are left out, as negative ones are.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    def __init__(self, *, ignore_index: int = 255, **policy: Any) -> None:
        super().__init__(**policy)
        check_integer('ignore_index', ignore_index)
        self.ignore_index = ignore_index

    @abstractmethod
    def _of_rows(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """Returns an item for each row ``(m)`` of logits ``(m k)``."""

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, data_samples: Sequence[Any]
    ) -> Tensor:
        """Returns the item of each pixel ``(n h w)``, 0 where it has no label.

        Args:
            student: Logits ``(n k h w)``.
            teacher: Logits ``(n k h w)``.
            data_samples: The samples of the batch, with their label maps.
        """
        check_shapes(student=(student, 'n k h w'), teacher=(teacher, 'n k h w'))
        self.check_pair(student, teacher)
        pixels = labelled_pixels(data_samples, student, ignore_index=self.ignore_index)
        rows = pixels.rows(student), pixels.rows(teacher)
        return pixels.spread(self._of_rows(*rows, pixels.labels))


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
