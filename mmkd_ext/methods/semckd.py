r"""SemCKD: Cross-Layer Distillation with Semantic Calibration.

Chen, Mei, Zhang, Wang, Feng, Chen, AAAI 2021, `arXiv 2012.03236
<https://arxiv.org/abs/2012.03236>`_. A feature method: every layer of the student is
projected to every layer of the teacher, and attention, which is learned, says for each
sample which of these layers it should follow.

Recipe: classification, the end of each stage, weight 400 for CIFAR and 50 for ImageNet,
beside logit KD of weight 1. Its use on the levels of a segmentor is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.errors import check_integer, check_shapes
from mmkd_ext.functional.direction import unit_vectors
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.functional.pooling import average_grid
from mmkd_ext.methods._layers import CrossLayerLoss
from mmkd_ext.methods._norm import BatchNorm
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['SemCKDLoss', 'similarity_rows']


def similarity_rows(feature: Tensor, references: int) -> Tensor:
    r"""Returns the inner products of each sample with the first samples of the batch.

    .. math:: A_{nm} = \langle x_n, x_m \rangle, \quad m = 1 \ldots M

    In a batch of fewer than :math:`M` samples the rest is 0, so the rows have one
    length for batches of any size.

    Args:
        feature: Features ``(n ...)``.
        references: Length :math:`M` of a row, >= 1.

    Returns:
        Similarities ``(n m)``.

    Examples:
        >>> similarity_rows(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 3)
        tensor([[ 5., 11.,  0.],
                [11., 25.,  0.]])
    """
    check_shapes(feature=(feature, 'n ...'))
    check_integer('references', references, ge=1)
    rows = feature.flatten(1)
    similarity = rows @ rows[:references].T
    return F.pad(similarity, (0, references - similarity.shape[1]))


@MODELS.register_module()
class SemCKDLoss(CrossLayerLoss):
    r"""Mean squared error of all pairs of layers, weighted by attention.

    .. math::
        L &= \frac{1}{N S} \sum_{n,s,t} \alpha_{nst}
             \operatorname{mse}(\operatorname{proj}_{st}(P F^S_{ns}), P F^T_{nt}) \\
        \alpha_{nst} &= \operatorname{softmax}_t
             \langle Q_s(A^S_{ns}), K_t(A^T_{nt}) \rangle

    :math:`P` averages maps to the smaller of both heights and of both widths. The
    queries and keys are unit vectors that two linear layers, with a ReLU between them,
    make of :func:`similarity_rows`; the projectors are convolutions of 1x1, 3x3 and
    1x1 with batch norms and ReLUs between them. All of them learn with the student.

    Where it differs from the authors' code: layers are averaged along each side by
    itself, so maps need not be square; batches may have any size, since rows of
    similarity have that of `batch_size`; and layers of equal channels share a
    projector, which runs once for all targets of one size.

    Args:
        student_channels: Channels of the student's layers.
        teacher_channels: Channels of the teacher's layers; there may be more or fewer.
        batch_size: Samples that each one is compared with for the attention. The
            authors' is the batch of a process; queries are a quarter as wide.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> loss = SemCKDLoss((4, 6), (8,), batch_size=16)
        >>> student = torch.ones(2, 4, 6, 8), torch.ones(2, 6, 3, 4)
        >>> loss(student, torch.ones(2, 8, 3, 4)) > 0
        tensor(True)
    """

    def __init__(
        self,
        student_channels: Sequence[int],
        teacher_channels: Sequence[int],
        batch_size: int,
        **policy: Any,
    ) -> None:
        super().__init__(student_channels, teacher_channels, **policy)
        check_integer('batch_size', batch_size, ge=1)
        self.batch_size = batch_size
        self.queries = nn.ModuleList(
            _embedding(batch_size) for _ in self.student_channels
        )
        self.keys = nn.ModuleList(_embedding(batch_size) for _ in self.teacher_channels)
        self.projectors = nn.ModuleDict(
            {
                f'{s}_to_{t}': _projector(s, t)
                for s in dict.fromkeys(self.student_channels)
                for t in dict.fromkeys(self.teacher_channels)
            }
        )

    def attention(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Returns how much each layer of the teacher counts, ``(n s t)``.

        Args:
            student: Features of the student's layers, ``(n ...)``.
            teacher: Features of the teacher's layers.
        """
        queries = self._embedded(self.queries, student)
        keys = self._embedded(self.keys, teacher)
        return (queries @ keys.transpose(1, 2)).softmax(2)

    def compute_layers(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor]
    ) -> Tensor:
        """Returns the weighted error of each layer of the student ``(n s)``."""
        attention = self.attention(student, teacher)
        return (attention * self._errors(student, teacher)).sum(2)

    def _embedded(self, embeddings: nn.ModuleList, layers: Sequence[Tensor]) -> Tensor:
        vectors = torch.stack(
            [
                embedding(similarity_rows(layer, self.batch_size))
                for embedding, layer in zip(embeddings, layers)
            ],
            dim=1,
        )
        return unit_vectors(vectors, vectors.norm(dim=2, keepdim=True))

    def _errors(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Mean squared error of each pair of layers, ``(n s t)``."""
        projected: dict[Any, Tensor] = {}
        targets: dict[Any, Tensor] = {}
        errors = []
        for i, s in enumerate(student):
            for j, t in enumerate(teacher):
                size = min(s.shape[2], t.shape[2]), min(s.shape[3], t.shape[3])
                if (j, size) not in targets:
                    targets[j, size] = average_grid(t, size)
                made = i, t.shape[1], size
                if made not in projected:
                    projector = self.projectors[f'{s.shape[1]}_to_{t.shape[1]}']
                    projected[made] = projector(average_grid(s, size))
                error = squared_error(projected[made], targets[j, size])
                errors.append(error.flatten(1).mean(1))
        return torch.stack(errors, dim=1).reshape(-1, len(student), len(teacher))


def _embedding(width: int) -> nn.Module:
    out = max(1, width // 4)
    return nn.Sequential(nn.Linear(width, 2 * out), nn.ReLU(), nn.Linear(2 * out, out))


def _projector(in_channels: int, channels: int) -> nn.Module:
    middle = 2 * channels
    return nn.Sequential(
        nn.Conv2d(in_channels, middle, 1, bias=False),
        BatchNorm(middle),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, middle, 3, padding=1, bias=False),
        BatchNorm(middle),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, channels, 1, bias=False),
    )
