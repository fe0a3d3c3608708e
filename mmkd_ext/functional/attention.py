"""Where and in which channels a feature map is strong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmkd_ext.errors import check_range, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['channel_attention', 'spatial_attention']


def spatial_attention(feature: Tensor, *, tau: float = 1.0) -> Tensor:
    r"""Returns how strong each position is; the mean over positions is 1.

    .. math::
        A_{ni} = H W \operatorname{softmax}_i \Big(
            \frac{1}{\tau C} \sum_c |F_{nci}| \Big)

    The spatial attention of `Focal and Global Knowledge Distillation for Detectors,
    CVPR 2022 <https://arxiv.org/abs/2111.11837>`_.

    Args:
        feature: Feature map ``(n c h w)``.
        tau: Temperature, > 0; a lower one sees only the strongest positions.

    Returns:
        Attention ``(n h w)``, positive, in sum ``h * w`` for each image.

    Raises:
        ShapeError: The feature is not ``(n c h w)``.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> import torch
        >>> spatial_attention(torch.ones(1, 8, 1, 2), tau=0.5)
        tensor([[[1., 1.]]])
    """
    check_shapes(feature=(feature, 'n c h w'))
    check_range('tau', tau, above=0)
    strength = feature.abs().mean(1)
    attention = (strength.flatten(1) / tau).softmax(1)
    return (attention * attention.shape[1]).reshape(strength.shape)


def channel_attention(feature: Tensor, *, tau: float = 1.0) -> Tensor:
    r"""Returns how strong each channel is; the mean over channels is 1.

    .. math::
        A_{nc} = C \operatorname{softmax}_c \Big(
            \frac{1}{\tau H W} \sum_i |F_{nci}| \Big)

    The channel attention of `Focal and Global Knowledge Distillation for Detectors,
    CVPR 2022 <https://arxiv.org/abs/2111.11837>`_.

    Args:
        feature: Feature map ``(n c h w)``.
        tau: Temperature, > 0; a lower one sees only the strongest channels.

    Returns:
        Attention ``(n c)``, positive, in sum ``c`` for each image.

    Raises:
        ShapeError: The feature is not ``(n c h w)``.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> import torch
        >>> channel_attention(torch.ones(1, 2, 3, 3))
        tensor([[1., 1.]])
    """
    check_shapes(feature=(feature, 'n c h w'))
    check_range('tau', tau, above=0)
    strength = feature.abs().mean((2, 3))
    return (strength / tau).softmax(1) * strength.shape[1]
