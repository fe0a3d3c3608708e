"""Pseudo-labels from a teacher's prediction, and losses against them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.errors import check_shapes

__all__ = [
    'IGNORE',
    'entropy',
    'hard_cross_entropy',
    'hard_labels',
    'log_probabilities',
    'soft_cross_entropy',
    'weighted_mean',
]

#: Label of pixels that count for nothing.
IGNORE = 255


def entropy(logits: Tensor) -> Tensor:
    r"""Returns the entropy of the class distribution of each pixel, in nats.

    .. math::
        H_i = -\sum_k p_{ik} \log p_{ik}, \qquad p = \operatorname{softmax}(z)

    Args:
        logits: ``(n k h w)``.

    Returns:
        ``(n h w)``, from 0 to :math:`\log k`.
    """
    check_shapes(logits=(logits, 'n k h w'))
    log_p = logits.log_softmax(1)
    # the softmax of log p is p, and faster than `exp` where p vanishes
    return -(log_p.softmax(1) * log_p).sum(1)


def hard_labels(
    probabilities: Tensor, threshold: float = 0.0, ignore: int = IGNORE
) -> Tensor:
    """Returns the likeliest class of each pixel ``(n h w)``.

    Args:
        probabilities: ``(n k h w)``.
        threshold: Pixels whose class is less likely get `ignore`.
        ignore: Label of pixels that count for nothing.
    """
    check_shapes(probabilities=(probabilities, 'n k h w'))
    confidence, labels = probabilities.max(1)
    if threshold > 0:
        labels = torch.where(confidence >= threshold, labels, ignore)
    return labels


def soft_cross_entropy(logits: Tensor, probabilities: Tensor) -> Tensor:
    r"""Returns the cross entropy of each pixel with a distribution, ``(n h w)``.

    .. math::
        -\sum_k y_k \log \operatorname{softmax}(z)_k
    """
    check_shapes(logits=(logits, 'n k h w'), probabilities=(probabilities, 'n k h w'))
    return -(probabilities * logits.log_softmax(1)).sum(1)


def hard_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the cross entropy of each pixel ``(n h w)``, 0 where it is ignored."""
    check_shapes(logits=(logits, 'n k h w'), labels=(labels, 'n h w'))
    return F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction='none')


def weighted_mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the mean of ``(n h w)``, weighted; 0 where the weights sum to 0.

    Args:
        values: ``(n h w)``.
        weights: Of the same shape, also boolean; None for the plain mean.
    """
    if weights is None:
        return values.mean()
    check_shapes(values=(values, 'n h w'), weights=(weights, 'n h w'))
    weights = weights.to(values.dtype)
    # a sum of 0 has a numerator of 0 too
    return (values * weights).sum() / weights.sum().clamp_min(1e-12)


def log_probabilities(probabilities: Tensor) -> Tensor:
    """Returns logarithms: their resized maximum is that of logits of one view."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
