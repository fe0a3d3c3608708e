"""A teacher's classifier on features of a student."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.errors import ConfigError, ShapeError

__all__ = ['classified', 'classifier_width']

_HINT = (
    "Tap the last layer, such as at=dict(type='Module', source='head.fc') of a "
    "classifier or source='decode_head.conv_seg' of a segmentor."
)


def classifier_width(classifier: nn.Module) -> int:
    """Returns the width of the features that a classifier takes.

    Raises:
        ConfigError: It is neither a linear layer nor a convolution of a single pixel.
    """
    if isinstance(classifier, nn.Linear):
        return classifier.in_features
    if isinstance(classifier, nn.Conv2d) and classifier.kernel_size == (1, 1):
        return classifier.in_channels
    kind = type(classifier).__name__
    raise ConfigError(
        f'`classifier` must be a linear layer or a 1x1 convolution, but is `{kind}`. '
        f'{_HINT}'
    )


def classified(feature: Tensor, classifier: nn.Module) -> Tensor:
    """Returns the logits that a classifier gives a feature.

    Its weights are taken in the type of the feature, so the result has this type also
    where the classifier is in half precision.

    Args:
        feature: Map ``(n c h w)``, or vectors ``(n c)`` for a linear layer. Before a
            linear layer a map is averaged over its positions.
        classifier: A linear layer, or a 1x1 convolution.

    Returns:
        Logits ``(n k)`` of a linear layer, ``(n k h w)`` of a convolution.

    Raises:
        ConfigError: ``classifier`` is another kind of layer.
        ShapeError: The feature has another width.
    """
    width = classifier_width(classifier)
    dense = isinstance(classifier, nn.Conv2d)
    if feature.dim() not in ((4,) if dense else (2, 4)) or feature.shape[1] != width:
        wanted = f'(n {width} h w)' if dense else f'(n {width}) or (n {width} h w)'
        raise ShapeError(
            f'the classifier takes features {wanted}, but got {tuple(feature.shape)}; '
            f'give the student an adapter to {width} channels.'
        )
    layer = cast('nn.Linear | nn.Conv2d', classifier)
    weight = layer.weight.to(feature.dtype)
    bias = None if layer.bias is None else layer.bias.to(feature.dtype)
    if not isinstance(layer, nn.Conv2d):
        pooled = feature.mean((2, 3)) if feature.dim() == 4 else feature
        return F.linear(pooled, weight, bias)
    return F.conv2d(
        feature,
        weight,
        bias,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
    )
