"""Filters of pixels for adaptation: those that are certain, and those that are new."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from mmkd_ext.adaptation.pseudo_labels import entropy
from mmkd_ext.errors import check_choice, check_range, check_shapes
from mmkd_ext.registry import MODELS

__all__ = ['EntropyFilter', 'PixelFilter', 'RedundancyFilter']


class PixelFilter(nn.Module):
    """Base class of filters: maps logits to the pixels that count."""

    def reset(self) -> None:
        """Resets its state, if it has any."""


@MODELS.register_module()
class EntropyFilter(PixelFilter):
    r"""Selects pixels whose entropy is below a share of the largest one.

    .. math::
        H_i < E_0 = s \log k

    The reliable samples of EATA (https://arxiv.org/abs/2204.02610) and SAR
    (https://arxiv.org/abs/2302.12400), both with 0.4; here a sample is a pixel.

    Args:
        share: `s`, from 0 (none) to 1 (all that are not uniform).

    Examples:
        >>> logits = torch.tensor([[9.0, 0.0], [0.1, 0.0]]).T.view(1, 2, 1, 2)
        >>> EntropyFilter()(logits)
        tensor([[[ True, False]]])
    """

    def __init__(self, share: float = 0.4) -> None:
        super().__init__()
        check_range('share', share, ge=0, le=1)
        self.share = share

    def limit(self, classes: int) -> float:
        """Returns `E_0` in nats."""
        return self.share * math.log(classes)

    def forward(self, logits: Tensor) -> Tensor:
        """Returns a mask ``(n h w)`` for logits ``(n k h w)``."""
        return entropy(logits) < self.limit(logits.size(1))


@MODELS.register_module()
class RedundancyFilter(PixelFilter):
    r"""Leaves out what predicts as the stream did before.

    It remembers the mean prediction `m` of what it let through. With ``level='image'``
    an image counts unless the mean prediction `p` of its pixels is nearly the same:

    .. math::
        \cos(p, m) \le 1 - \epsilon

    With ``level='pixel'`` a pixel counts whose prediction has little to do with `m`,
    which is EATA's rule with a pixel for a sample:

    .. math::
        |\cos(p_i, m)| < \epsilon

    That leaves rare classes alone. EATA's rule cannot be asked of whole images: their
    mean predictions have most of road and sky in common.

    Args:
        margin: :math:`\epsilon`.
        momentum: What is kept of `m` when something is let through.
        level: ``'image'`` or ``'pixel'``.
    """

    def __init__(
        self, margin: float = 0.05, momentum: float = 0.9, level: str = 'image'
    ) -> None:
        super().__init__()
        check_range('margin', margin, ge=0, le=1)
        check_range('momentum', momentum, ge=0, le=1)
        check_choice('level', level, ('image', 'pixel'))
        self.margin, self.momentum, self.level = margin, momentum, level
        self.mean: Tensor | None = None

    def reset(self) -> None:
        """Resets the mean prediction."""
        self.mean = None

    def forward(self, logits: Tensor) -> Tensor:
        """Returns a mask ``(n h w)`` for logits ``(n k h w)``, and remembers them."""
        p = logits.softmax(1)
        return self.select(p, torch.ones_like(p[:, 0], dtype=torch.bool))

    @torch.no_grad()
    def select(self, probabilities: Tensor, mask: Tensor) -> Tensor:
        """Returns which pixels of a mask are new ``(n h w)``, and remembers them.

        Args:
            probabilities: ``(n k h w)``.
            mask: Pixels that are asked about ``(n h w)``.
        """
        check_shapes(probabilities=(probabilities, 'n k h w'), mask=(mask, 'n h w'))
        if self.mean is not None:
            mask = mask & self._is_new(probabilities, mask, self.mean.to(probabilities))
        if mask.any():
            new = _mean_prediction(probabilities, mask)
            self.mean = (
                new
                if self.mean is None
                else self.mean.to(new).lerp(new, 1 - self.momentum)
            )
        return mask

    def _is_new(self, probabilities: Tensor, mask: Tensor, mean: Tensor) -> Tensor:
        if self.level == 'pixel':
            mean = mean.view(1, -1, 1, 1)
            return torch.cosine_similarity(probabilities, mean).abs() < self.margin
        p = torch.stack(
            [
                _mean_prediction(one[None], counted[None])
                for one, counted in zip(probabilities, mask)
            ]
        )
        like = torch.cosine_similarity(p, mean[None])
        return (like <= 1 - self.margin).view(-1, 1, 1)

    def get_extra_state(self) -> dict[str, Any]:
        """Returns the mean prediction."""
        return {'mean': self.mean}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores the mean prediction of another one."""
        self.mean = state['mean']


def _mean_prediction(probabilities: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean over the pixels of a mask ``(k)``; 0 where there are none."""
    weights = mask.unsqueeze(1).to(probabilities.dtype)
    total = (probabilities * weights).sum((0, 2, 3))
    return total / weights.sum().clamp_min(1)
