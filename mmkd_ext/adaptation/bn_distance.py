"""Distances between sets of batch-norm statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mmkd_ext.adaptation.norms import Statistics, batch_norms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ['RelativeDistance']

#: Channels whose source variance is below this share of the layer's mean count as if
#: they had that share: a channel that the source never used would be all that counts.
FLOOR = 0.01


class RelativeDistance:
    r"""Squared distance of statistics, relative to the source's running variance.

    .. math::
        D = \frac{1}{L} \sum_l \frac{1}{C_l} \sum_c
        \frac{(\mu_{lc} - \mu'_{lc})^2}{v_{lc}}
        + \left(\frac{\sigma^2_{lc} - \sigma'^2_{lc}}{v_{lc}}\right)^2

    `v` is the source's running variance (plus the layer's `eps`, as it normalises),
    and for the layer's output the square of its scale: the variance of that output on
    the source. So a distance has no unit: it does not change when the weights before
    a layer are scaled, nor with the number of layers and channels, and 1 means one
    standard deviation in the mean of each channel, on any network.

    Statistics are vectors here, mean and variance of all layers in a row: ``(2 c)``.

    Args:
        source: The source model.
        names: The layers that count.
        feature: ``'input'`` or ``'output'``, as they were recorded.

    Examples:
        >>> net = nn.Sequential(nn.BatchNorm2d(2, eps=0.0))
        >>> distance = RelativeDistance(net, ['0'])
        >>> a = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> b = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
        >>> distance(a, b).item()
        1.0
    """

    def __init__(
        self, source: nn.Module, names: Sequence[str], feature: str = 'input'
    ) -> None:
        norms = batch_norms(source)
        self.names = list(names)
        scales = [_variance(norms[name], feature) for name in self.names]
        self.scale = torch.cat(scales)
        shares = [torch.full_like(v, 1 / (len(scales) * len(v))) for v in scales]
        self.share = torch.cat(shares)

    def stack(self, found: dict[str, Statistics]) -> Tensor:
        """Returns recorded statistics as ``(2 c)``, with their graph."""
        means = torch.cat([found[name].mean for name in self.names])
        variances = torch.cat([found[name].var for name in self.names])
        return torch.stack([means, variances])

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the distance of two statistics ``(2 c)``; 0 where they are equal."""
        mean, var = (first - second).unbind()
        each = mean.square() / self.scale + (var / self.scale).square()
        return (self.share * each).sum()


def _variance(norm: _BatchNorm, feature: str) -> Tensor:
    """Returns the variance of the channels on the source, no smaller than useful."""
    running = norm.running_var
    if running is None:
        raise ValueError('a layer without running statistics has no variance')
    if feature == 'input':
        variance = running.detach() + norm.eps
    elif norm.affine:
        variance = norm.weight.detach().square()
    else:
        variance = torch.ones_like(running)
    floor = (FLOOR * variance.mean()).clamp_min(norm.eps)
    # `maximum` makes a new tensor: the source's own must not be kept
    return torch.maximum(variance, floor).to(torch.float32)
