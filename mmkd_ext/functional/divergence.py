"""Kullback-Leibler divergences between softened teacher and student."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch.autograd.function import once_differentiable

from mmkd_ext.errors import check_range, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['channel_divergence', 'class_divergence']


def channel_divergence(student: Tensor, teacher: Tensor, *, tau: float = 1.0) -> Tensor:
    r"""Returns the KL divergence between the spatial distributions of each channel.

    .. math::
        D_{nc} = \tau^2 \sum_i p_{nci} \log \frac{p_{nci}}{q_{nci}}, \quad
        p = \operatorname{softmax}_{hw}(t / \tau), \;
        q = \operatorname{softmax}_{hw}(s / \tau)

    The divergence of `Channel-wise Knowledge Distillation for Dense Prediction, ICCV
    2021 <https://arxiv.org/abs/2011.13256>`_, computed in log space, so that it is
    finite where the authors' ``softmax().log()`` meets log 0.

    Args:
        student: Activations or logits ``(n c h w)``.
        teacher: Activations or logits ``(n c h w)``.
        tau: Temperature, > 0; a higher one looks at more of the map.

    Returns:
        Divergence of each channel in nats, times ``tau**2``, ``(n c)``, never
        negative.

    Raises:
        ShapeError: An axis differs between ``student`` and ``teacher``.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> import torch
        >>> x = torch.zeros(2, 3, 4, 4)
        >>> channel_divergence(x, x).shape
        torch.Size([2, 3])
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
    check_range('tau', tau, above=0)
    return _divergence(student.flatten(2), teacher.flatten(2), tau, dim=2)


def class_divergence(student: Tensor, teacher: Tensor, *, tau: float = 1.0) -> Tensor:
    r"""Returns the KL divergence between the class distributions of each position.

    .. math::
        D_{n...} = \tau^2 \sum_c p_{nc...} \log \frac{p_{nc...}}{q_{nc...}}, \quad
        p = \operatorname{softmax}_c(t / \tau), \;
        q = \operatorname{softmax}_c(s / \tau)

    `Distilling the Knowledge in a Neural Network, 2015
    <https://arxiv.org/abs/1503.02531>`_; on dense logits every pixel is a sample.

    One channel is the score of a yes against a no, as heads with a single output are
    trained, so `p` and `q` are then the two outcomes of a sigmoid:

    .. math::
        D = \tau^2 \Big( p \log \frac{p}{q} + (1 - p) \log \frac{1 - p}{1 - q} \Big),
        \quad p = \sigma(t / \tau), \; q = \sigma(s / \tau)

    Args:
        student: Logits ``(n c)`` or ``(n c h w)``.
        teacher: Logits of the same shape.
        tau: Temperature, > 0.

    Returns:
        Divergence of each sample or pixel in nats, times ``tau**2``, ``(n)`` or
        ``(n h w)``, never negative.

    Raises:
        ShapeError: An axis differs between ``student`` and ``teacher``.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> import torch
        >>> class_divergence(torch.zeros(2, 19, 8, 8), torch.ones(2, 19, 8, 8)).shape
        torch.Size([2, 8, 8])
    """
    pattern = 'n c h w' if student.dim() == 4 else 'n c'
    sizes = check_shapes(student=(student, pattern), teacher=(teacher, pattern))
    check_range('tau', tau, above=0)
    if sizes['c'] == 1:
        student, teacher = _against_zero(student), _against_zero(teacher)
    return _divergence(student, teacher, tau, dim=1)


def _against_zero(score: Tensor) -> Tensor:
    """Two scores whose softmax is the sigmoid of one and what is left of it."""
    return torch.cat([score, torch.zeros_like(score)], 1)


def _divergence(student: Tensor, teacher: Tensor, tau: float, dim: int) -> Tensor:
    """Tempered KL(teacher || student) along ``dim``, times ``tau**2``."""
    dtype = torch.promote_types(student.dtype, teacher.dtype)
    student, teacher = student.to(dtype), teacher.to(dtype)
    if not teacher.requires_grad:
        return cast(
            'Tensor',
            _FrozenTeacherDivergence.apply(  # type: ignore[no-untyped-call]
                student, teacher, tau, dim
            ),
        )
    log_q = torch.log_softmax(student / tau, dim)
    log_p = torch.log_softmax(teacher / tau, dim)
    return tau**2 * (log_p.exp() * (log_p - log_q)).sum(dim)


class _FrozenTeacherDivergence(torch.autograd.Function):
    """The divergence where only the student learns.

    Its gradient is ``tau * (q - p)``. Keeping that one tensor, instead of every step
    that leads to it, saves half of the memory and a third of the time.
    """

    @staticmethod
    def forward(
        ctx: Any, student: Tensor, teacher: Tensor, tau: float, dim: int
    ) -> Tensor:
        log_q = torch.log_softmax(student if tau == 1 else student / tau, dim)
        log_p = torch.log_softmax(teacher if tau == 1 else teacher / tau, dim)
        p = log_p.exp()
        value = log_p.sub_(log_q).mul_(p).sum(dim).mul_(tau**2)
        del log_p
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(log_q.exp_().sub_(p).mul_(tau))
            ctx.dim = dim
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return slope * grad.unsqueeze(ctx.dim), None, None, None
