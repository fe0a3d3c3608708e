r"""OFD: A Comprehensive Overhaul of Feature Distillation.

Heo, Kim, Yun, Park, Kwak, Choi, ICCV 2019, `arXiv 1904.01866
<https://arxiv.org/abs/1904.01866>`_. A feature method: features before the ReLU. The
student follows the teacher's positive values; where these are negative it need only
stay below them, and no lower than a margin, the mean of the channel's negative values.

Recipe: the end of each stage before its ReLU, weights :math:`1/2^{L-i-1}` of the
:math:`i`-th of :math:`L` stages, sums over a picture divided by 1000 for CIFAR, 10000
for ImageNet and 100000 for the authors' segmentation, so a weight of 1e-3, 1e-4, 1e-5.
CIFAR 200 epochs of batch 128, ImageNet 100 of 256. For segmentation the authors train
the adapters alone in the first epoch; here they learn with the student from the start.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    ShapeError,
    check_integer,
    check_shapes,
)
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._norm import BatchNorm
from mmkd_ext.registry import MODELS

__all__ = [
    'OFDAdapter',
    'OFDLoss',
    'OFDMargin',
    'negative_mean',
    'partial_squared_error',
]

# The authors': a channel that is below 0 more rarely has a margin of -3 deviations.
_RARE = 1e-3


def negative_mean(mean: Tensor, deviation: Tensor) -> Tensor:
    r"""Returns the mean of the negative values of normal distributions.

    .. math:: m = \operatorname{E}[x \mid x < 0]
        = \mu - \sigma \frac{\varphi(\mu / \sigma)}{\Phi(-\mu / \sigma)}

    and :math:`-3 \sigma` where less than one value in a thousand is negative, as in the
    authors' code.

    Args:
        mean: Means, of any shape.
        deviation: Standard deviations, >= 0; of 0 the mean itself, at most 0.

    Returns:
        Means of the negative values, never above 0, in the type of ``mean``.

    Examples:
        >>> negative_mean(torch.tensor([0.0, -100.0, 9.0]), torch.ones(3))
        tensor([  -0.7979, -100.0000,   -3.0000])
    """
    mu, sigma = mean.double(), deviation.double()
    ratio = mu / sigma.clamp(min=torch.finfo(torch.float64).tiny)
    share = torch.special.ndtr(-ratio)
    density = (-(ratio**2) / 2).exp() / math.sqrt(2 * math.pi)
    common = mu - sigma * density / share.clamp(min=_RARE)
    return torch.where(share > _RARE, common, -3 * sigma).to(mean.dtype)


def partial_squared_error(student: Tensor, target: Tensor) -> Tensor:
    r"""Returns the squared difference, but 0 where the student is low enough.

    .. math:: D = \begin{cases}
        0 & s \le t \le 0 \\
        (s - t)^2 & \text{otherwise} \end{cases}

    Args:
        student: Features before their ReLU, of any shape.
        target: What they should be, of the same shape.

    Raises:
        ShapeError: The shapes differ.

    Examples:
        >>> low = torch.tensor([-3.0, -1.0, -1.0])
        >>> partial_squared_error(low, torch.tensor([-2.0, -2.0, 1.0]))
        tensor([0., 1., 4.])
    """
    error = squared_error(student, target)
    return error * ((student > target) | (target > 0))


@MODELS.register_module()
class OFDAdapter(nn.Module):
    """Brings the student's feature to the teacher's channels: 1x1 convolution and norm.

    The convolution has no bias and weights of deviation ``sqrt(2 / channels)``. A map
    of one position in a batch of one is normalised by the running statistics.

    Args:
        in_channels: Channels of the student's feature.
        channels: Channels of the teacher's.

    Examples:
        >>> OFDAdapter(4, 6)(torch.ones(2, 4, 3, 5)).shape
        torch.Size([2, 6, 3, 5])
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        check_integer('OFDAdapter.in_channels', in_channels, ge=1)
        check_integer('OFDAdapter.channels', channels, ge=1)
        self.conv = nn.Conv2d(in_channels, channels, 1, bias=False)
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 / channels))
        self.norm = BatchNorm(channels)

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n in_channels h w)`` to ``(n channels h w)``.

        Raises:
            ShapeError: The feature is no map, or has other channels.
        """
        check_shapes(feature=(feature, f'n {self.conv.in_channels} h w'))
        adapted: Tensor = self.norm(self.conv(feature))
        return adapted


@MODELS.register_module()
class OFDMargin(nn.Module):
    """Lifts the teacher's negative values to a margin for each channel.

    The margin is what :func:`negative_mean` makes of the batch norm before the ReLU:
    its bias is taken for the mean of a channel, the size of its weight for the
    deviation. It is computed from the loaded teacher in the first step of training,
    kept in a buffer, and compared when a run is resumed. A tap reads::

        preds_T=dict(
            of='teacher', at='decode_head.bottleneck.bn',
            connector=dict(type='mmkd_ext.OFDMargin', channels=512),
            given=dict(norm=dict(of='teacher', at=dict(
                type='Module', source='decode_head.bottleneck.bn'))))

    At the end of a residual stage the authors take the last norm of its last block,
    though the identity is added to what it gives.

    Args:
        channels: Channels of the teacher's feature.

    Examples:
        >>> margin = OFDMargin(2)
        >>> margin(torch.tensor([[-9.0, 9.0]]), nn.BatchNorm2d(2))
        tensor([[-0.7979,  9.0000]])
    """

    margin: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        check_integer('OFDMargin.channels', channels, ge=1)
        self.register_buffer('margin', torch.full((channels,), torch.nan))
        self._is_known = False

    def forward(self, feature: Tensor, norm: nn.Module) -> Tensor:
        """Returns ``max(feature, margin)``.

        Args:
            feature: The teacher's feature before its ReLU, ``(n channels ...)``.
            norm: The batch norm before that ReLU.

        Raises:
            ShapeError: The feature or the norm has other channels.
            ConfigError: The norm has no weight or bias.
            CheckpointError: A resumed run has the margins of another teacher.
        """
        check_shapes(feature=(feature, f'n {len(self.margin)} ...'))
        margin = self.margin if self._is_known else self._find(norm)
        margin = margin.to(feature.dtype)
        return feature.maximum(margin.reshape(-1, *[1] * (feature.dim() - 2)))

    @torch.no_grad()
    def _find(self, norm: nn.Module) -> Tensor:
        weight, bias = (getattr(norm, name, None) for name in ('weight', 'bias'))
        if not isinstance(weight, Tensor) or not isinstance(bias, Tensor):
            raise ConfigError(
                f'`OFDMargin` needs a batch norm with weight and bias, but `norm` is '
                f'`{type(norm).__name__}`; tap the module before the ReLU.'
            )
        if weight.shape != self.margin.shape:
            raise ShapeError(
                f'`OFDMargin` has channels={len(self.margin)}, but `norm` has '
                f'{tuple(weight.shape)}; tap the norm of the same feature.'
            )
        found = negative_mean(bias, weight.abs())
        if self.training:
            # a dry run, before the teacher is loaded, is in eval mode
            saved = self.margin
            if saved.isfinite().all() and not torch.allclose(found, saved, rtol=1e-3):
                raise CheckpointError(
                    'the margins of `OFDMargin` in the checkpoint are those of another '
                    'teacher than this one. Resume with that teacher, or start anew.'
                )
            self.margin.copy_(found)
            self._is_known = True
        return found


@MODELS.register_module()
class OFDLoss(PairLoss):
    r"""Squared difference where it counts, a sum over a picture.

    See :func:`partial_squared_error`. Goes with an :class:`OFDAdapter` on the student's
    side and an :class:`OFDMargin` on the teacher's, both before a ReLU. Of the ``L``
    levels of a pyramid the i-th, from 0, counts ``1 / 2**(L - i - 1)``; a link for each
    stage has this in its `loss_weight`.

    mmrazor's ``OFDLoss`` divides by 1000 itself; its margins are made before the
    teacher's weights may be loaded, and are not in checkpoints.

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> student = torch.zeros(1, 2, 2, 2)
        >>> OFDLoss(loss_weight=1e-3)(student, student + 1)
        tensor(0.0080)
    """

    default_reduction: ClassVar[str] = 'batchmean'
    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]]
    ) -> list[Tensor]:
        """Returns the items of each level, the last of which counts most."""
        last = len(levels) - 1
        return [
            self.compute(student, teacher) / 2 ** (last - i)
            for i, (student, teacher) in enumerate(levels)
        ]

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the error of each element."""
        return partial_squared_error(student, teacher)
