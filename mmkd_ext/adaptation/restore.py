"""Stochastic restore: a random part of the weights is reset to the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from mmkd_ext.adaptation.randomness import SeededGenerator
from mmkd_ext.errors import check_range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ['StochasticRestore']


class StochasticRestore(nn.Module):
    r"""Sets each weight back to the source's with a probability.

    .. math::
        M \sim \operatorname{Bernoulli}(p), \qquad
        \theta \leftarrow M\, \theta_0 + (1 - M)\, \theta

    Sec. 3.3 of `Continual Test-Time Domain Adaptation, CVPR 2022
    <https://arxiv.org/abs/2203.13591>`_. After `k` calls a weight that nobody updates
    has kept its adapted value with probability :math:`(1 - p)^k`: 0.1 remembers about
    ten images.

    Args:
        p: Probability, from 0 (nothing happens) to 1 (the source).
        seed: Of the masks.
    """

    def __init__(self, p: float, seed: int = 0) -> None:
        super().__init__()
        check_range('restore', p, ge=0, le=1)
        self.p = p
        self.generator = SeededGenerator(seed)

    @torch.no_grad()
    def forward(
        self, weights: Mapping[str, Tensor], source: Mapping[str, Tensor]
    ) -> None:
        """Restores, in place.

        Args:
            weights: Weights by name.
            source: The source's weights, by the same names.
        """
        if self.p == 0:
            return
        device = None
        for name, weight in weights.items():
            if weight.device != device:
                device, generator = weight.device, self.generator.on(weight.device)
            drawn = torch.rand(weight.shape, generator=generator, device=weight.device)
            # rand is below 1, so p=1 restores all
            mask = drawn < self.p
            weight.copy_(torch.where(mask, source[name].to(weight), weight))
