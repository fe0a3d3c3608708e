r"""MGD: Masked Generative Distillation.

Yang, Li, Shao, Shi, Yuan, Yuan, ECCV 2022, `arXiv 2205.01529
<https://arxiv.org/abs/2205.01529>`_. A feature method: part of the student's feature is
masked at random, and two convolutions must generate the teacher's full feature from
the rest.

Recipe: detection on every FPN level with ``mask_ratio=0.65`` and weight 2e-5 for
one-stage, 0.45 and 5e-7 for two-stage students; segmentation on the last stage with
0.75 and 2e-5; classification on the last stage with ``mask='channel'``, 0.15 and 7e-5.
Gradients clipped at norm 35 (``optim_wrapper.clip_grad``); for detection the student's
neck and head start from the teacher's (``model.inherit``), but for a cascade's.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmkd_ext.errors import (
    check_choice,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss, check_map
from mmkd_ext.registry import MODELS

__all__ = ['MGDConnector', 'MGDLoss', 'random_mask']


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

    Which end of the interval is masked is that of the authors' detection and
    classification code. Drawn in float32, because half precision would round the ratio.

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
        >>> random_mask(torch.zeros(2, 3, 4, 5), 0.5).shape
        torch.Size([2, 1, 4, 5])
    """
    size = check_shapes(feature=(feature, 'n c h w'))
    check_range('ratio', ratio, ge=0, le=1)
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


@MODELS.register_module()
class MGDConnector(nn.Module):
    r"""Generates the teacher's feature from the student's with a random part masked.

    .. math:: G(F) = W_2 * \operatorname{ReLU}(W_1 * (m \odot a(F)))

    with 3x3 convolutions :math:`W`, a random mask :math:`m`, and a 1x1 convolution
    :math:`a` where the channels differ, else nothing. For one level; give a pyramid one
    for each with ``mmkd_ext.PerLevel``.

    Masks are drawn in training mode alone, anew in each call. Without `seed` they come
    from the default generator of the feature's device, which
    ``mmkd_ext.ReproducibleStepHook`` seeds in every step. With `seed` they depend on
    it, the number of the call, the size of the map and the rank, on nothing else, and
    disturb no other random number; the number of the call is part of the checkpoint.

    Args:
        channels: Channels of the teacher's feature.
        mask_ratio: Expected share that is masked, 0 to 1.
        mask: ``'spatial'`` masks positions, ``'channel'`` masks channels.
        seed: Seed of masks of its own.
        in_channels: Channels of the student's feature, when they differ.

    Examples:
        >>> connector = MGDConnector(channels=8, in_channels=4)
        >>> connector(torch.randn(2, 4, 5, 6)).shape
        torch.Size([2, 8, 5, 6])
    """

    calls: Tensor
    only_forward: ClassVar[tuple[str, ...]] = ('calls',)
    """Buffers that no skipped batch sets back."""

    def __init__(
        self,
        channels: int,
        mask_ratio: float = 0.65,
        mask: str = 'spatial',
        *,
        seed: int | None = None,
        in_channels: int | None = None,
    ) -> None:
        super().__init__()
        check_range('mask_ratio', mask_ratio, ge=0, le=1)
        check_choice('mask', mask, ('spatial', 'channel'))
        self.in_channels = channels if in_channels is None else in_channels
        check_integer('channels', channels, ge=1)
        check_integer('in_channels', self.in_channels, ge=1)
        if seed is not None:
            check_integer('seed', seed)
        self.mask_ratio, self.mask, self.seed = mask_ratio, mask, seed
        differs = self.in_channels != channels
        self.align = nn.Conv2d(self.in_channels, channels, 1) if differs else None
        self.generation = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        # The buffer puts the number into checkpoints; the plain one is what is read,
        # because reading a buffer on a GPU would wait for it in every step.
        self._calls = 0
        if seed is not None:
            self.register_buffer('calls', torch.zeros((), dtype=torch.long))

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n in_channels h w)`` to ``(n channels h w)``."""
        check_map('`MGDConnector`', feature, self.in_channels, 'in_channels')
        if self.align is not None:
            feature = self.align(feature)
        if self.training:
            generator = None if self.seed is None else self._generator(feature)
            feature = feature * random_mask(
                feature, self.mask_ratio, over=self.mask, generator=generator
            )
        return cast('Tensor', self.generation(feature))

    def _generator(self, feature: Tensor) -> torch.Generator:
        """Returns a generator for this call alone."""
        rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
        # levels have connectors of the same seed, so the size tells them apart
        place = (self.seed, self._calls, *feature.shape[2:], rank)
        digest = hashlib.blake2b(repr(place).encode(), digest_size=8).digest()
        self._calls += 1
        self.calls.fill_(self._calls)
        generator = torch.Generator(feature.device)
        return generator.manual_seed(int.from_bytes(digest, 'little') >> 1)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if self.seed is not None:
            self._calls = int(self.calls)

    def extra_repr(self) -> str:
        """Returns the settings of the mask."""
        return f'mask_ratio={self.mask_ratio}, mask={self.mask!r}, seed={self.seed}'


@MODELS.register_module()
class MGDLoss(PairLoss):
    r"""Squared difference to the teacher's feature, a sum divided by the images.

    .. math:: L = \frac{1}{N} \sum (G(F^S) - F^T)^2

    Goes with an :class:`MGDConnector` on the student's side. A sum over channels and
    positions, so weights are small. Equals mmrazor's ``MGDLoss``, whose weight is
    called ``alpha_mgd``.

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`; the weight is 2e-5 if not
            given.
    """

    default_reduction: ClassVar[str] = 'batchmean'

    def __init__(self, *, loss_weight: float = 2e-5, **policy: Any) -> None:
        super().__init__(loss_weight=loss_weight, **policy)

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the squared differences ``(n c h w)``."""
        return squared_error(student, teacher)
