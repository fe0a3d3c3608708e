"""Measures of collapse: how a model differs from its source on the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.errors import check_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['SIGNALS', 'compare', 'lost', 'textured', 'valid_pixels']

#: The three signals. None of them is, or is derived from, a loss.
SIGNALS = ('entropy', 'classes', 'agreement')


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
) -> Tensor:
    """Returns what `lost` needs of one batch, on the CPU: ``4 k + 4`` numbers.

    These are means over the images: the mean prediction of the model and of its source,
    the share of each class among the labels of the model and of its source (`k` numbers
    each); then the share of pixels on which they disagree, the number of classes of the
    model and of its source with at least `min_share` of an image, and the number of
    classes of the source with at least a pixel.

    Args:
        scores: Logits or log-probabilities of the model ``(n k h w)``.
        source: Those of its source; where they are of another size, the model's are
            resized to it.
        valid: Which pixels count ``(n h w)``, of the size of `scores`.
        min_share: Share of the pixels with which a class counts as predicted.
    """
    scores = torch.where(valid[:, None], scores, 0.0)
    size = source.shape[2:]
    if scores.shape[2:] != size:
        scores = F.interpolate(scores, size, mode='bilinear', align_corners=False)
        valid = F.interpolate(valid[:, None].float(), size, mode='nearest')[:, 0] > 0
    check_shapes(scores=(scores, 'n k h w'), source=(source, 'n k h w'))
    valid = valid & source.isfinite().all(1)
    pixels = valid.sum((1, 2)).clamp_min(1)[:, None]
    soft, labels, shares = [], [], []
    for logits in (scores, source):
        # 0 weight would not undo a NaN
        kept = torch.where(valid[:, None], logits.softmax(1), 0.0)
        soft.append(kept.sum((2, 3)) / pixels)
        labels.append(logits.argmax(1))
        shares.append(_histogram(labels[-1], valid, logits.size(1)) / pixels)
    differ = ((labels[0] != labels[1]) & valid).sum((1, 2)) / pixels[:, 0]
    floor = max(min_share, torch.finfo(torch.float32).tiny)
    of_model, of_source = ((share >= floor).sum(1) for share in shares)
    any_pixel = (shares[1] > 0).sum(1)
    counts = torch.stack(
        [differ, of_model.float(), of_source.float(), any_pixel.float()]
    )
    row = torch.cat([*(part.mean(0) for part in (*soft, *shares)), counts.mean(1)])
    return row.double().cpu()


def _histogram(labels: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Returns the number of valid pixels of each class ``(n k)``."""
    offset = classes * torch.arange(len(labels), device=labels.device)
    index = (labels + offset[:, None, None])[valid]
    return torch.bincount(index, minlength=len(labels) * classes).view(-1, classes)


def lost(rows: Sequence[Tensor]) -> tuple[dict[str, float], dict[str, float]]:
    r"""Returns how much of what its source shows a model has lost, over a window.

    .. math::
        \text{entropy} = 1 - \frac{H(\bar p)}{H(\bar q)}, \quad
        \text{classes} = 1 - \frac{n_p - 1}{n_q - 1}, \quad
        \text{agreement} = \frac{d}{1 - \sum_k a_k b_k}

    with the mean predictions :math:`\bar p, \bar q` of model and source, their mean
    numbers of classes :math:`n`, the share :math:`d` of pixels on which they differ,
    and the shares :math:`a, b` of the classes among their labels. The last denominator
    is what two models with these shares would differ by if neither looked at the image,
    so agreement lost is 1 minus Cohen's kappa. All are 0 for the source itself and 1
    for a model that says one class everywhere; they may be negative, and the last above
    1. What the source does not have cannot be lost, and counts as 0.

    Args:
        rows: What `compare` returned, at least one.

    Returns:
        The three shares, by the names in `SIGNALS`; and the values that they are made
        of, with the entropies in nats.
    """
    mean = torch.stack(list(rows)).mean(0)
    classes = (len(mean) - 4) // 4
    model, source, a, b = mean[: 4 * classes].view(4, classes)
    differ, n_model, n_source, _ = mean[4 * classes :].tolist()
    h_model = float(torch.special.entr(model).sum())
    h_source = float(torch.special.entr(source).sum())
    by_chance = 1 - float((a * b).sum())
    losses = {
        'entropy': _share(h_source - h_model, h_source),
        'classes': _share(n_source - n_model, n_source - 1),
        'agreement': _share(differ, by_chance),
    }
    values = {
        'entropy': h_model,
        'source_entropy': h_source,
        'disagreement': differ,
        'chance_disagreement': by_chance,
    }
    return losses, values


def _share(part: float, whole: float) -> float:
    # below a thousandth there is nothing to lose but rounding
    return part / whole if whole > 1e-3 else 0.0
