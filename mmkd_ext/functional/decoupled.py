"""Divergence of class distributions, split into target and other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mmkd_ext.errors import ShapeError, check_range, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['decoupled_divergence']


def decoupled_divergence(
    student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float = 1.0
) -> tuple[Tensor, Tensor]:
    r"""Returns the two parts into which a KL divergence of classes falls apart.

    The first asks how sure both sides are of the target class `y`, the second how
    they divide what is left among the others:

    .. math::
        D_n^{\text{target}} &= \tau^2 \Big( p_y \log \frac{p_y}{q_y}
            + (1 - p_y) \log \frac{1 - p_y}{1 - q_y} \Big) \\
        D_n^{\text{other}} &= \tau^2 \sum_{c \ne y} \hat p_c \log
            \frac{\hat p_c}{\hat q_c}, \quad \hat p_c = \frac{p_c}{1 - p_y}

    with `p` and `q` the softmax of teacher and student over all classes at
    temperature :math:`\tau`. The whole divergence is
    :math:`D^{\text{target}} + (1 - p_y) D^{\text{other}}`. TCKD and NCKD of `Decoupled
    Knowledge Distillation, CVPR 2022 <https://arxiv.org/abs/2203.08679>`_.

    Computed in log space, :math:`\log (1 - p_y)` as a difference of two
    log-sum-exps, and the target is masked exactly instead of by a large negative
    offset; so it is finite however sure a side is.

    Args:
        student: Logits ``(n c)``.
        teacher: Logits ``(n c)``.
        labels: Index of the target class of each row, ``(n)``, from 0 to ``c - 1``.
            Not checked, since that would wait for the device.
        tau: Temperature, > 0.

    Returns:
        Divergence of the target and of the other classes of each row in nats, times
        ``tau**2``, ``(n)`` and ``(n)``, never negative.

    Raises:
        ShapeError: An axis differs, there are fewer than two classes, or the labels
            are no whole numbers.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> import torch
        >>> target, other = decoupled_divergence(
        ...     torch.zeros(1, 3), torch.tensor([[5.0, 0.0, 0.0]]), torch.tensor([0]))
        >>> other
        tensor([0.])
    """
    sizes = check_shapes(
        student=(student, 'n c'), teacher=(teacher, 'n c'), labels=(labels, 'n')
    )
    check_range('tau', tau, above=0)
    if sizes['c'] < 2:
        raise ShapeError(
            f'`student` {tuple(student.shape)} has {sizes["c"]} class(es); beside the '
            'target there must be another one.'
        )
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ShapeError(
            f'`labels` must be indices of classes, but are {labels.dtype}; soft and '
            'mixed labels have no target class.'
        )
    dtype = torch.promote_types(student.dtype, teacher.dtype)
    index = labels.long().unsqueeze(1)
    is_target = torch.zeros_like(student, dtype=torch.bool).scatter_(1, index, True)
    target_q, other_q = _log_split(student.to(dtype) / tau, index, is_target)
    target_p, other_p = _log_split(teacher.to(dtype) / tau, index, is_target)
    target = (target_p.exp() * (target_p - target_q)).sum(1)
    # the target is -inf on both sides, and the difference of these no number
    apart = (other_p - other_q).masked_fill(is_target, 0)
    return tau**2 * target, tau**2 * (other_p.exp() * apart).sum(1)


def _log_split(
    logits: Tensor, index: Tensor, is_target: Tensor
) -> tuple[Tensor, Tensor]:
    """Logs of (target, not target) ``(n 2)``, and of the others among themselves."""
    others = logits.masked_fill(is_target, -torch.inf)
    rest = others.logsumexp(1, keepdim=True)
    binary = torch.cat([logits.gather(1, index), rest], 1)
    return binary.log_softmax(1), others - rest
