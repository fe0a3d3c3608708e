"""Attention maps of features."""

from __future__ import annotations

from torch import Tensor

from mmkd_ext.errors import check_range, check_shapes

__all__ = ['spatial_attention']


def spatial_attention(feature: Tensor, *, tau: float = 1.0) -> Tensor:
    r"""Returns the attention at each position; its mean over positions is 1.

    .. math::
        A_{ni} = H W \operatorname{softmax}_i \Big(
            \frac{1}{\tau C} \sum_c |F_{nci}| \Big)

    From `FGD, CVPR 2022 <https://arxiv.org/abs/2111.11837>`_.

    Args:
        feature: Feature map ``(n c h w)``.
        tau: Temperature, > 0; a lower one keeps only the strongest positions.

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
    check_range('tau', tau, gt=0)
    strength = feature.abs().mean(1)
    attention = (strength.flatten(1) / tau).softmax(1)
    return (attention * attention.shape[1]).reshape(strength.shape)
