"""Ground truth boxes and image sizes of detection samples.

They are read by attribute, so mmdet's ``DetDataSample`` works, and no method has to
import mmdet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmkd_ext.errors import DataError, ShapeError

__all__ = ['boxes_of', 'image_sizes']


def boxes_of(
    data_samples: Sequence[Any], features: Sequence[Tensor] = ()
) -> list[Tensor]:
    """Returns the ground truth boxes of each image ``(b 4)``.

    Args:
        data_samples: Samples whose ``gt_instances.bboxes`` is a tensor, or mmdet's
            boxes around one.
        features: Maps of the same batch ``(n ...)``.

    Raises:
        DataError: There are no samples, or one has no boxes of this form.
        ShapeError: A map is of more or fewer images.
    """
    images = []
    for index, sample in enumerate(_checked(data_samples)):
        boxes = getattr(getattr(sample, 'gt_instances', None), 'bboxes', None)
        boxes = getattr(boxes, 'tensor', boxes)
        if not isinstance(boxes, Tensor) or boxes.dim() != 2 or boxes.shape[1] != 4:
            what = (
                f'a tensor {tuple(boxes.shape)}'
                if isinstance(boxes, Tensor)
                else repr(boxes)
            )
            raise DataError(
                f'`data_samples[{index}].gt_instances.bboxes` must be boxes (b 4), but '
                f'is {what}; the method needs ground truth boxes, (0 4) where there '
                'are none.'
            )
        images.append(boxes)
    for feature in features:
        if len(images) != len(feature):
            raise ShapeError(
                f'there are boxes of {len(images)} images, but the feature is '
                f'{tuple(feature.shape)}; both must be of the same batch.'
            )
    return images


def image_sizes(
    data_samples: Sequence[Any], *, padded: bool = True
) -> list[tuple[int, int]]:
    """Returns height and width of each image.

    Args:
        data_samples: Samples with mmdet's ``metainfo``.
        padded: The size of the batch, to which every image was padded and which
            feature maps cover; otherwise the image's own.

    Raises:
        DataError: A sample has no size.
    """
    key = 'batch_input_shape' if padded else 'img_shape'
    sizes = []
    for index, sample in enumerate(_checked(data_samples)):
        info = getattr(sample, 'metainfo', None)
        size = info.get(key) if isinstance(info, Mapping) else None
        if size is None:
            known = sorted(info) if isinstance(info, Mapping) else info
            raise DataError(
                f'`data_samples[{index}].metainfo` has no {key!r}, but {known!r}; '
                "mmdet's `DetDataPreprocessor` and `PackDetInputs` write it."
            )
        sizes.append((int(size[0]), int(size[1])))
    return sizes


def _checked(data_samples: Any) -> Sequence[Any]:
    if not isinstance(data_samples, Sequence) or not data_samples:
        raise DataError(
            f'`data_samples` must be a sample an image, but is {data_samples!r}; write '
            "data_samples=dict(of='batch', at='data_samples') in the link."
        )
    return data_samples
