r"""PKD: General Distillation Framework for Detectors via Pearson Correlation.

Cao, Zhang, Gao, Cheng, Cheng, Lu, "PKD: General Distillation Framework for Object
Detectors via Pearson Correlation Coefficient", NeurIPS 2022, `arXiv 2207.02039
<https://arxiv.org/abs/2207.02039>`_. A feature method for unequal detectors: channels
are compared by their correlation, so their scale and offset do not matter, nothing has
to be learned, and FCOS can teach RetinaNet.

Recipe: the first four outputs of ``neck``; weight 6 a level for Faster R-CNN and for
RetinaNet under a Mask R-CNN, 10 for RetinaNet under a one-stage teacher.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = ['PKDLoss', 'correlation_distance']

_MAP = (0, 2, 3)


def correlation_distance(
    student: Tensor, teacher: Tensor, *, eps: float = 1e-6
) -> Tensor:
    r"""Returns each image's part of one minus the correlation of every channel.

    .. math::
        D_{nc} = \frac{1}{2 H W} \sum_{hw} (\hat s_{nchw} - \hat t_{nchw})^2, \qquad
        \hat x_{nchw} = \frac{x_{nchw} - \mu_c}{\sigma_c + \epsilon}

    with mean and unbiased standard deviation of a channel over the batch and all
    positions, :math:`m = N H W` values. The mean over the images is
    :math:`\frac{m - 1}{m} (1 - r_c)`, where :math:`r_c` is Pearson's correlation of the
    channel on both sides (for :math:`\epsilon = 0`). A constant channel is standardised
    to 0, where the authors' code gives NaN for a single value.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n c h w)``.
        eps: Added to the standard deviation, > 0; keeps constant channels finite.

    Returns:
        Distance ``(n c)``, never negative; over the images of a channel its mean is
        below 2.

    Raises:
        ShapeError: An axis differs between ``student`` and ``teacher``.
        ConfigError: ``eps`` is not positive.

    Examples:
        >>> x = torch.randn(2, 3, 4, 4)
        >>> bool(correlation_distance(5 * x + 1, x).max() < 1e-9)
        True
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
    check_range('eps', eps, gt=0)
    dtype = torch.promote_types(student.dtype, teacher.dtype)
    student, teacher = student.to(dtype), teacher.to(dtype)
    if not teacher.requires_grad:
        found = _FrozenTeacherDistance.apply(student, teacher, eps)  # type: ignore[no-untyped-call]
        return cast('Tensor', found)
    error = _standardised(student, eps) - _standardised(teacher, eps)
    return error.square().mean((2, 3)) / 2


@MODELS.register_module()
class PKDLoss(PairLoss):
    """Squared difference of standardised channels, halved, a mean over all elements.

    See :func:`correlation_distance`. Statistics are those of one GPU, as published, and
    computed in float32. Equals mmrazor's ``PKDLoss``, the authors' own, where that
    works. Unlike it, a side of another width or a pyramid of another length is refused,
    and size is aligned by the link. Images share their statistics, so a batch is not
    the mean of its images.

    Args:
        eps: Added to the standard deviation, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(self, eps: float = 1e-6, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('eps', eps, gt=0)
        self.eps = eps

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns each image's part of the distance of each channel ``(n c)``."""
        return correlation_distance(student, teacher, eps=self.eps)


def _standardised(x: Tensor, eps: float) -> Tensor:
    correction = min(1, x.numel() // x.shape[1] - 1)
    std, mean = torch.std_mean(x, _MAP, correction=correction, keepdim=True)
    return (x - mean) / (std + eps)


class _FrozenTeacherDistance(torch.autograd.Function):
    """The distance where only the student learns.

    All that is not elementwise is known for whole maps: the gradient is ``alpha * (s -
    mean) + beta * (t - mean) + gamma`` with one number each for an image and channel.
    So nothing of the size of a map is kept but the two sides themselves, and the
    backward pass goes over them once.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, eps: float) -> Tensor:
        count = student.numel() // student.shape[1]
        positions = student[0, 0].numel()
        freedom = max(count - 1, 1)
        # moments of each map, and from them those of each channel
        s, t = (_Moments(x, positions, freedom, eps) for x in (student, teacher))
        # centred before it is scaled: a constant channel is scaled by 1 / eps
        error = (student - s.mean).mul_(s.scale)
        error.addcmul_(teacher - t.mean, t.scale, value=-1)
        squares = error.square_().sum((2, 3), keepdim=True)
        if ctx.needs_input_grad[0]:
            # of each map: the sum of the error, and of the error times the student's
            # standardised value, by 2 (z - y) z = z^2 + (z - y)^2 - y^2
            first = s.first - t.first
            second = (s.second + squares - t.second) / 2
            ctx.save_for_backward(
                student, teacher, first, second, s.mean, s.scale, s.std, t.mean, t.scale
            )
            ctx.count, ctx.positions, ctx.freedom = count, positions, freedom
        return squares.flatten(1) / (2 * positions)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        student, teacher, first, second, *channel = ctx.saved_tensors
        s_mean, s_scale, s_std, t_mean, t_scale = channel
        slope = grad[:, :, None, None] / ctx.positions
        # through the mean, and through the standard deviation; a constant channel has
        # no slope there
        by_mean = (slope * first).sum(0, keepdim=True) / ctx.count
        by_std = (slope * second).sum(0, keepdim=True) / (ctx.freedom * s_std * s_scale)
        by_std = by_std.masked_fill(s_std == 0, 0)
        alpha = s_scale.square() * (slope - by_std)
        beta = -s_scale * t_scale * slope
        slopes = torch.addcmul(-s_scale * by_mean, student - s_mean, alpha)
        return slopes.addcmul_(teacher - t_mean, beta), None, None


class _Moments:
    """Statistics of one side: of each channel, and sums of each standardised map."""

    def __init__(self, x: Tensor, positions: int, freedom: int, eps: float) -> None:
        var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        # the mean of equal means must be equal to them, also after rounding
        self.mean = mean[:1] + (mean - mean[:1]).mean(0, keepdim=True)
        offset = mean - self.mean
        squares = positions * (var + offset.square())
        self.std = (squares.sum(0, keepdim=True) / freedom).sqrt()
        self.scale = 1 / (self.std + eps)
        self.first = positions * offset * self.scale
        self.second = squares * self.scale.square()
