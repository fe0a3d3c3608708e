"""What a model has lost of its source, by their predictions of the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.errors import check_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['compare', 'textured', 'valid_pixels']


def valid_pixels(scores: Tensor, samples: Sequence[Any]) -> Tensor:
    """Returns where a prediction counts ``(n h w)``: finite, and not padding.

    Args:
        scores: ``(n k h w)`` at the size of the images.
        samples: Their data samples; ``img_padding_size`` is what mmseg's preprocessor
            writes, left, right, top, bottom.
    """
    valid = scores.isfinite().all(1)
    for mask, sample in zip(valid, samples):
        left, right, top, bottom = sample.metainfo.get('img_padding_size', (0,) * 4)
        height, width = mask.shape
        mask[:top] = False
        mask[height - bottom :] = False
        mask[:, :left] = False
        mask[:, width - right :] = False
    return valid


def textured(inputs: Tensor) -> Tensor:
    """Returns where an image is finite and not blank ``(n h w)``.

    A blank pixel is like its neighbours right, left, above and below. A frame that
    failed (black, grey from some row on, all white) is blank; so is padding.

    Args:
        inputs: Images ``(n c h w)``.
    """
    right = (inputs[..., :, 1:] != inputs[..., :, :-1]).any(1)
    below = (inputs[..., 1:, :] != inputs[..., :-1, :]).any(1)
    # the last column and row have a neighbour on the other side only
    right = F.pad(right, (0, 1)) | F.pad(right, (1, 0))
    below = F.pad(below, (0, 0, 0, 1)) | F.pad(below, (0, 0, 1, 0))
    return (right | below) & inputs.isfinite().all(1)


def compare(
    scores: Tensor, source: Tensor, valid: Tensor, min_share: float = 0.0
) -> dict[str, float]:
    r"""Returns how much IoU a model has lost, as its source expects it.

    There are no labels, so the probabilities `q` of the source are what is believed of
    a pixel `i`, and the labels of both, `y`, are judged by them, class by class:

    .. math::
        E_k(y) = \frac{\sum_{i: y_i = k} q_{ik}}
        {\sum_i q_{ik} + \sum_{i: y_i = k} (1 - q_{ik})}, \qquad
        \text{lost} = 1 - \frac{\sum_k E_k(\arg\max p)}{\sum_k E_k(\arg\max q)}

    with the probabilities `p` of the model. To differ costs little where the source is
    unsure, and nothing is won by being surer than it. Small classes count as much as
    large ones, so one that disappears is seen. This is ours; numerator and denominator
    are expected values, not their quotient.

    Args:
        scores: Logits or log-probabilities of the model ``(n k h w)``.
        source: Those of its source; where they are of another size, the model's are
            resized to it.
        valid: Which pixels count ``(n h w)``, of the size of `scores`.
        min_share: Share of the pixels that the source must give a class.

    Returns:
        ``lost``, at most 1, and 0 for the source itself; ``disagreement``, the share of
        pixels with another label; ``source_classes``, the number of classes among the
        source's labels, a mean over the images.
    """
    scores = torch.where(valid[:, None], scores, 0.0)
    if scores.shape[2:] != source.shape[2:]:
        size = source.shape[2:]
        scores = F.interpolate(scores, size, mode='bilinear', align_corners=False)
        valid = F.interpolate(valid[:, None].float(), size, mode='nearest')[:, 0] > 0
    check_shapes(scores=(scores, 'n k h w'), source=(source, 'n k h w'))
    valid = valid & source.isfinite().all(1)
    ours, labels = scores.argmax(1)[valid], source.argmax(1)
    theirs, q = labels[valid], source.softmax(1).movedim(1, -1)[valid]
    total = q.sum(0)
    counted = total > min_share * len(q)
    expected = [_iou(q, total, one)[counted].sum() for one in (ours, theirs)]
    classes = [one[i].unique().numel() for one, i in zip(labels, valid)]
    found = torch.stack([*expected, (ours != theirs).float().mean()]).nan_to_num()
    mine, its, disagreement = found.tolist()
    return {
        'lost': 1 - mine / its if its else 0.0,
        'disagreement': disagreement,
        'source_classes': sum(classes) / len(classes),
    }


def _iou(q: Tensor, total: Tensor, labels: Tensor) -> Tensor:
    """Returns the IoU that is expected of the labels of pixels ``(i)``, by class."""
    right = q.gather(1, labels[:, None])[:, 0]
    hits = torch.zeros_like(total).index_add_(0, labels, right)
    union = total + torch.bincount(labels, minlength=len(total)) - hits
    return hits / union.clamp_min(torch.finfo(total.dtype).tiny)
