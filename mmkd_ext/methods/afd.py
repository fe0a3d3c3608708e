r"""AFD: Show, Attend and Distill.

Ji, Heo, Park, AAAI 2021, `arXiv 2102.02973 <https://arxiv.org/abs/2102.02973>`_. A
feature method: for each layer of the teacher attention, which is learned, says which
layers of the student belong to it, and where these are active follows where it is.

Recipe: classification, all layers of both networks, width 128, weight 200 for CIFAR
beside logit KD (weight 0.9, temperature 4), 240 epochs, lr 0.05, batch 64. Its use on
the levels of a segmentor is ours.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mmkd_ext.errors import ShapeError, check_integer, check_shapes
from mmkd_ext.functional.direction import unit_vectors
from mmkd_ext.functional.pooling import average_grid
from mmkd_ext.methods._layers import CrossLayerLoss
from mmkd_ext.methods._norm import BatchNorm
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['AFDLoss', 'unit_activity']


def unit_activity(power: Tensor, size: tuple[int, int]) -> Tensor:
    r"""Returns where a map is active, as a vector of length 1.

    .. math:: v = \frac{P u}{\lVert P u \rVert_2}

    Args:
        power: Mean square of the channels at each position, :math:`u`, ``(n h w)``.
        size: Height and width to which :math:`P` averages it.

    Returns:
        Unit vectors ``(n p)`` over the positions; 0 for a map that is 0.

    Examples:
        >>> unit_activity(torch.tensor([[[3.0, 4.0]]]), (1, 2))
        tensor([[0.6000, 0.8000]])
    """
    check_shapes(power=(power, 'n h w'))
    activity = average_grid(power[:, None], size).flatten(1)
    return unit_vectors(activity, activity.norm(dim=1, keepdim=True))


@MODELS.register_module()
class AFDLoss(CrossLayerLoss):
    r"""Squared difference of activity of all pairs of layers, weighted by attention.

    .. math::
        L &= \sum_t \frac{1}{N} \sum_n \sum_s \alpha_{nts}
             \operatorname{mse}(v^S_{nts}, v^T_{nt}) \\
        \alpha_{nts} &= \operatorname{softmax}_s
             \frac{\langle W_t k_{ns}, q_{nt} \rangle + \langle p_t, p_s \rangle}
                  {\sqrt{d}}

    :math:`v` is :func:`unit_activity`, the student's averaged to the size of the
    teacher's layer after squaring; maps need not be square. Queries :math:`q` and keys
    :math:`k` are made of the mean of each channel by a linear layer and a batch norm,
    keys with a ReLU; :math:`W_t` is a linear layer with a batch norm, and :math:`p` are
    positions, vectors that belong to the layers. All of them learn with the student, so
    attention may leave the layers that are hard to follow.

    Args:
        student_channels: Channels of the student's layers.
        teacher_channels: Channels of the teacher's layers; there may be more or fewer.
        width: Width ``d`` of queries, keys and positions.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> loss = AFDLoss((4, 6), (8,))
        >>> student = torch.rand(2, 4, 6, 8), torch.rand(2, 6, 3, 4)
        >>> loss(student, torch.rand(2, 8, 3, 4)) > 0
        tensor(True)
    """

    default_reduction: ClassVar[str] = 'batchmean'

    def __init__(
        self,
        student_channels: Sequence[int],
        teacher_channels: Sequence[int],
        width: int = 128,
        **policy: Any,
    ) -> None:
        super().__init__(student_channels, teacher_channels, **policy)
        check_integer('width', width, ge=1)
        teachers = len(self.teacher_channels)
        self.queries = nn.ModuleList(_dense(c, width) for c in self.teacher_channels)
        self.keys = nn.ModuleList(
            nn.Sequential(_dense(c, width), nn.ReLU()) for c in self.student_channels
        )
        self.bilinear = _dense(width, width * teachers)
        self.teacher_positions = nn.Parameter(torch.empty(teachers, width))
        self.student_positions = nn.Parameter(
            torch.empty(len(self.student_channels), width)
        )
        nn.init.xavier_normal_(self.teacher_positions)
        nn.init.xavier_normal_(self.student_positions)

    def check_layers(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor]
    ) -> None:
        """Raises unless the layers fit, and the teacher's have several positions.

        Raises:
            ShapeError: A layer does not fit, or is a vector or a map of one position,
                whose activity is 1 whatever it holds.
        """
        super().check_layers(student, teacher)
        for layer in teacher:
            if layer.dim() == 2 or layer.shape[2:].numel() == 1:
                raise ShapeError(
                    '`AFDLoss` compares where maps are active, but a layer of the '
                    f'teacher, {tuple(layer.shape)}, has one position; leave it out '
                    'with `item`.'
                )

    def attention(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Returns how much each layer of the student counts, ``(n t s)``.

        Args:
            student: Maps ``(n c h w)`` of the student.
            teacher: Maps of the teacher.
        """
        queries, keys = (
            torch.stack([net(x.mean((2, 3))) for net, x in zip(nets, layers)], dim=1)
            for nets, layers in ((self.queries, teacher), (self.keys, student))
        )
        width = queries.shape[2]
        mapped = self.bilinear(keys.flatten(0, 1))
        mapped = mapped.reshape(*keys.shape[:2], len(teacher), width)
        content = torch.einsum('nstd,ntd->nts', mapped, queries)
        place = self.teacher_positions @ self.student_positions.T
        return ((content + place) / sqrt(width)).softmax(2)

    def compute_layers(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor]
    ) -> Tensor:
        """Returns the weighted error of each layer of the teacher ``(n t)``."""
        attention = self.attention(student, teacher)
        powers = [layer.square().mean(1) for layer in student]
        found: dict[torch.Size, Tensor] = {}
        errors = []
        for layer in teacher:
            size = layer.shape[2:]
            if size not in found:
                found[size] = torch.stack(
                    [unit_activity(p, (size[0], size[1])) for p in powers], dim=1
                )
            target = unit_activity(layer.square().mean(1), (size[0], size[1]))
            errors.append((found[size] - target[:, None]).square().mean(2))
        return (attention * torch.stack(errors, dim=1)).sum(2)


def _dense(into: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(into, out), BatchNorm(out))
