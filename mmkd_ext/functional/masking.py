"""Random masks over features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mmkd_ext.errors import check_choice, check_range, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['random_mask']


def random_mask(
    feature: Tensor,
    ratio: float,
    *,
    over: str = 'spatial',
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Returns a mask that is 0 at random positions, or for random channels, else 1.

    .. math::
        m_{nhw} = [u_{nhw} < 1 - \lambda] \quad \text{or} \quad
        m_{nc} = [u_{nc} \ge \lambda], \qquad u \sim U(0, 1)

    The masks of `Masked Generative Distillation, ECCV 2022
    <https://arxiv.org/abs/2205.01529>`_; which end of the interval is masked is that of
    the authors' detection and classification code. Drawn in float32, because half
    precision would round the ratio, and on the feature's device.

    Args:
        feature: Feature ``(n c h w)``; only its shape, dtype and device matter.
        ratio: Expected share of zeros, 0 to 1.
        over: ``'spatial'`` masks positions in all channels, ``'channel'`` masks
            channels at all positions.
        generator: Source of random numbers on the feature's device; the device's
            default one if not given.

    Returns:
        Zeros and ones ``(n 1 h w)`` or ``(n c 1 1)``, in the feature's dtype.

    Raises:
        ShapeError: The feature has not four axes.
        ConfigError: ``ratio`` is outside 0 to 1, or ``over`` is unknown.

    Examples:
        >>> import torch
        >>> random_mask(torch.zeros(2, 3, 4, 5), 0.5).shape
        torch.Size([2, 1, 4, 5])
        >>> random_mask(torch.zeros(1, 2, 4, 4), 1.0, over='channel').flatten()
        tensor([0., 0.])
    """
    size = check_shapes(feature=(feature, 'n c h w'))
    check_range('ratio', ratio, low=0, high=1)
    check_choice('over', over, ('spatial', 'channel'))
    n, c, h, w = (size[axis] for axis in 'nchw')
    uniform = torch.rand(
        (n, 1, h, w) if over == 'spatial' else (n, c, 1, 1),
        generator=generator,
        device=feature.device,
        dtype=torch.float32,
    )
    # numbers are in [0, 1): a ratio of 0 keeps all, a ratio of 1 nothing
    keep = uniform < 1 - ratio if over == 'spatial' else uniform >= ratio
    return keep.to(feature.dtype)
