"""TMU: a ConvLSTM whose memory takes from copies of its teachers' memories.

Inspired by `Unsupervised Transfer Learning for Spatiotemporal Predictive Networks, ICML
2020 <https://arxiv.org/abs/2009.11763>`_; the equations are those of the authors' code.
The README has what was decided here.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_ext.errors import ShapeError, check_choice, check_integer
from mmkd_ext.methods.fitnets import FitNetsLoss
from mmkd_ext.registry import MODELS
from projects.tmu.videos import check_video

__all__ = ['ConvLSTM', 'MemoryCell', 'MemoryLoss']


class MemoryCell(nn.Module):
    r"""One step of a ConvLSTM with a bank of teachers' memories.

    .. math::
        c' = f \odot c + i \odot g, \quad h = o \odot \tanh(c'), \quad
        d_k = \operatorname{LN}(W_k c'), \\
        c = c' + \sum_k \sigma(s_k) \odot d_k + (1 - \sigma(s_k)) \odot c'

    The gates :math:`i, f, o, g, s_k` are convolutions of frame and hidden state; a link
    makes :math:`d_k` the memory of teacher `k`. So closed gates of two teachers make
    :math:`c = 3 c'`, as in the authors' code.

    Args:
        width: Channels of memory and hidden state.
        bank: Number of teachers.
        merge: ``'sum'`` as above; ``'mean'`` divides by ``bank + 1``, so that closed
            gates leave the memory as it is.
    """

    def __init__(self, width: int, bank: int = 0, merge: str = 'sum') -> None:
        super().__init__()
        self.bank, self.merge = bank, merge
        self.gates = nn.Conv2d(1 + width, (4 + bank) * width, 3, padding=1)
        self.copies = nn.ModuleList()
        for _ in range(bank):
            copy = nn.Conv2d(width, width, 1, bias=False)
            # one group: a layer norm for frames of any size
            self.copies.append(nn.Sequential(copy, nn.GroupNorm(1, width)))

    def forward(
        self, frame: Tensor, hidden: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Returns hidden state, memory and the copies of the teachers' memories.

        The frame is ``(n 1 h w)``, all else ``(n c h w)``.
        """
        gates = self.gates(torch.cat([frame, hidden], 1))
        i, f, o, g, *taken = gates.chunk(4 + self.bank, 1)
        # forgetting little at first, as LSTMs are commonly begun
        memory = (f + 1).sigmoid() * memory + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * memory.tanh()
        copies = tuple(copy(memory) for copy in self.copies)
        merged = memory
        for s, copy in zip(taken, copies):
            merged = merged + torch.lerp(memory, copy, s.sigmoid())
        if self.merge == 'mean':
            merged = merged / (self.bank + 1)
        return hidden, merged, copies


@MODELS.register_module()
class ConvLSTM(BaseModel):
    """Predicts the next frames of grey videos ``(n t h w)``.

    In training and tests the first `window` frames are read, and from there on what was
    predicted itself. As a teacher (``mode='tensor'``) it reads the whole video.

    Args:
        window: Frames that are read before the first one that counts.
        width: Channels of the memory.
        bank: Number of teachers whose memories it takes from; none by default.
        merge: See `MemoryCell`.
        kwargs: As for mmengine's ``BaseModel``.
    """

    def __init__(
        self,
        window: int = 3,
        width: int = 16,
        *,
        bank: int = 0,
        merge: str = 'sum',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_integer('ConvLSTM.window', window, ge=1)
        check_choice('ConvLSTM.merge', merge, ('sum', 'mean'))
        self.window, self.width = window, width
        self.cell = MemoryCell(width, bank, merge)
        self.frame = nn.Conv2d(width, 1, 1)

    def unroll(self, video: Tensor, given: int) -> Tensor:
        """Returns the frame after each but the last ``(n t-1 h w)``.

        Args:
            video: ``(n t h w)``.
            given: So many frames are read, then those that were predicted.
        """
        n, t, h, w = video.shape
        hidden = memory = video.new_zeros(n, self.width, h, w)
        found: list[Tensor] = []
        for step in range(t - 1):
            frame = video[:, step : step + 1] if step < given else found[-1]
            hidden, memory, _ = self.cell(frame, hidden, memory)
            found.append(self.frame(hidden))
        return torch.cat(found, 1)

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Returns frames, losses, or for each video its prediction and truth."""
        if mode == 'tensor':
            return self.unroll(inputs, inputs.shape[1])
        check_video(inputs, self.window + 1, 'model.window')
        found = self.unroll(inputs, self.window)
        if mode == 'loss':
            return {'loss_frames': F.mse_loss(found, inputs[:, 1:])}
        end = self.window
        return [
            dict(frames=frames[end - 1 :], truth=video[end:], last=video[end - 1 : end])
            for frames, video in zip(found, inputs)
        ]


@MODELS.register_module()
class MemoryLoss(FitNetsLoss):
    """Squared error between a copy in the student's bank and a teacher's memory.

    A mean over elements, summed over the steps of the video. Copies are merged with the
    student's own memory, so nothing may be aligned.
    """

    alignable: ClassVar[frozenset[str]] = frozenset()

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises `ShapeError` where a teacher's memory is of another width."""
        if student.shape != teacher.shape:
            raise ShapeError(
                f"the teacher's memory is {tuple(teacher.shape)}, its copy in the "
                f"student's bank {tuple(student.shape)}; give teachers and student the "
                'same `width`.'
            )
