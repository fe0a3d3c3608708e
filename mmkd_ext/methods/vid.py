r"""VID: Variational Information Distillation for Knowledge Transfer.

Ahn, Hu, Damianou, Lawrence, Dai, CVPR 2019, `arXiv 1904.05835
<https://arxiv.org/abs/1904.05835>`_. A feature method: the mutual information of both
features is bounded from below by a normal distribution of the teacher's, whose mean a
regressor makes of the student's and whose variance is learned for each channel.

Recipe: classification, the end of each stage, weight 1, variance 5 at first and never
below 1e-5, in RepDistiller's re-implementation, from which formula and regressor are;
there is no code of the authors. Its use on segmentors is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, log
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = ['VIDLoss', 'VIDRegressor', 'gaussian_surprise']


def gaussian_surprise(mean: Tensor, value: Tensor, variance: Tensor) -> Tensor:
    r"""Returns how unlikely values are under normal distributions, but for a constant.

    .. math:: L_{nci} = \frac{1}{2} \left(
        \frac{(\mu_{nci} - t_{nci})^2}{\sigma_c^2} + \log \sigma_c^2 \right)

    That is the negative logarithm of the density without
    :math:`\frac{1}{2} \log 2 \pi`.

    Args:
        mean: Means, ``(n c ...)``.
        value: Values, ``(n c ...)``.
        variance: Variance of each channel, > 0, ``(c)``.

    Returns:
        Surprise of each element in nats, of any sign, shaped as ``value``.

    Raises:
        ShapeError: An axis differs.

    Examples:
        >>> x = torch.ones(1, 2)
        >>> gaussian_surprise(x, x, torch.tensor([1.0, torch.e]))
        tensor([[0.0000, 0.5000]])
    """
    check_shapes(value=(value, 'n c ...'), variance=(variance, 'c'))
    per_channel = variance.reshape(-1, *[1] * (value.dim() - 2))
    return (squared_error(mean, value) / per_channel + per_channel.log()) / 2


@MODELS.register_module()
class VIDRegressor(nn.Module):
    """Makes the means: three 1x1 convolutions with ReLUs between them, without bias.

    Vectors are maps of one position.

    Args:
        in_channels: Channels of the student's feature.
        channels: Channels of the teacher's, and of what lies between.

    Examples:
        >>> VIDRegressor(4, 6)(torch.ones(2, 4, 3, 5)).shape
        torch.Size([2, 6, 3, 5])
        >>> VIDRegressor(4, 6)(torch.ones(2, 4)).shape
        torch.Size([2, 6])
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        check_integer('VIDRegressor.in_channels', in_channels, ge=1)
        check_integer('VIDRegressor.channels', channels, ge=1)
        self.in_channels = in_channels
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n in_channels h w)`` or ``(n in_channels)`` to `channels` of them.

        Raises:
            ShapeError: The feature is neither, or has other channels.
        """
        if feature.dim() not in (2, 4) or feature.shape[1] != self.in_channels:
            raise ShapeError(
                f'`VIDRegressor` takes (n {self.in_channels} h w) or '
                f'(n {self.in_channels}), but got {tuple(feature.shape)}; set its '
                '`in_channels`.'
            )
        if feature.dim() == 2:
            vectors: Tensor = self.layers(feature[:, :, None, None]).flatten(1)
            return vectors
        maps: Tensor = self.layers(feature)
        return maps


@MODELS.register_module()
class VIDLoss(PairLoss):
    r"""Surprise of the teacher's feature, a mean over all its elements.

    See :func:`gaussian_surprise`. The variance :math:`\operatorname{softplus}(a_c)`
    plus `least` is a parameter, which the student's optimizer trains; it may become
    small, so the loss has any sign. Goes with a :class:`VIDRegressor` on the student's
    side. RepDistiller averages the larger map to the size of the smaller; here the
    student's is interpolated to the teacher's.

    Args:
        channels: Channels of the teacher's feature; a list of them gives each level
            of a pyramid variances of its own, which otherwise share one.
        variance: First variance, > `least`.
        least: What no variance falls below, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> feature = torch.ones(1, 4, 2, 2)
        >>> VIDLoss(4)(feature, feature)  # log(5) / 2
        tensor(0.8047, grad_fn=<MulBackward0>)
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(
        self,
        channels: int | Sequence[int],
        *,
        variance: float = 5.0,
        least: float = 1e-5,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_range('least', least, gt=0)
        check_range('variance', variance, gt=least)
        self.shared = not isinstance(channels, (list, tuple))
        widths: Any = [channels] if self.shared else channels
        if not widths:
            raise ConfigError('`channels` must be a number, or one for each level.')
        for width in widths:
            check_integer('VIDLoss.channels', width, ge=1)
        self.least = least
        # softplus of this is the variance; the logarithm of exp(x) - 1, kept exact
        # for large x
        rest = variance - least
        start = log(expm1(rest)) if rest < 30 else rest
        self.scales = nn.ParameterList(torch.full((width,), start) for width in widths)

    def variances(self, level: int = 0) -> Tensor:
        """Returns the variance of each channel of a level."""
        return F.softplus(self.scales[level]) + self.least

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]]
    ) -> list[Tensor]:
        """Returns the surprise of each element, with the variances of each level.

        Raises:
            ShapeError: There are other levels than variances, or a level has other
                channels.
        """
        if not self.shared and len(levels) != len(self.scales):
            raise ShapeError(
                f'`VIDLoss` has variances of {len(self.scales)} levels, but got '
                f'{len(levels)}; list the channels of each level in `channels`.'
            )
        return [
            gaussian_surprise(s, t, self.variances(0 if self.shared else i))
            for i, (s, t) in enumerate(levels)
        ]

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the surprise of each element of one level."""
        return self.compute_levels([(student, teacher)])[0]
