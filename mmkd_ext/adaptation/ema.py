"""A teacher whose weights are a moving average, or a copy, of the student's."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from mmkd_ext.errors import check_choice, check_range

__all__ = ['EMATeacher']

_BUFFERS = ('average', 'copy', 'keep')


class EMATeacher(nn.Module):
    r"""A frozen model whose weights follow a student's.

    .. math::
        \theta_t \leftarrow d\, \theta_t + (1 - d)\, \theta_s

    Args:
        student: The model to follow; the teacher starts as its copy.
        decay: Share of the teacher that an update keeps, from 0 (the teacher is the
            student of the iteration before) to 1 (it never changes).
        buffers: How running statistics are updated: ``'average'`` treats them as
            weights, ``'copy'`` takes the student's, ``'keep'`` leaves them at the
            source, as CoTTA's code does.

    Examples:
        >>> student = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(student.weight, 1.0)
        >>> teacher = EMATeacher(student, decay=0.75)
        >>> _ = nn.init.constant_(student.weight, 2.0)
        >>> teacher.update(student)
        >>> teacher.module.weight.item()
        1.25
    """

    def __init__(
        self, student: nn.Module, *, decay: float, buffers: str = 'copy'
    ) -> None:
        super().__init__()
        check_range('decay', decay, ge=0, le=1)
        check_choice('buffers', buffers, _BUFFERS)
        self.module = copy.deepcopy(student).eval().requires_grad_(False)
        self.decay = decay
        self.buffers_are = buffers

    @torch.no_grad()
    def reset(self, source: nn.Module) -> None:
        """Copies all weights and statistics of another model."""
        state = source.state_dict(keep_vars=True)
        for name, value in self.module.state_dict(keep_vars=True).items():
            value.copy_(state[name])

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Follows the student by one step."""
        average: list[tuple[Tensor, Tensor]] = []
        average.extend(zip(self.module.parameters(), student.parameters()))
        copies: list[tuple[Tensor, Tensor]] = []
        if self.buffers_are != 'keep':
            for own, other in zip(self.module.buffers(), student.buffers()):
                averaged = self.buffers_are == 'average' and own.is_floating_point()
                (average if averaged else copies).append((own, other))
        # exact at both ends: a copy for 0, nothing for 1
        if self.decay == 0:
            average, copies = [], [*average, *copies]
        if self.decay < 1:
            for own, other in average:
                own.lerp_(other, 1 - self.decay)
        for own, other in copies:
            own.copy_(other)

    def train(self, mode: bool = True) -> EMATeacher:
        """Stays in eval mode."""
        del mode
        return super().train(False)
