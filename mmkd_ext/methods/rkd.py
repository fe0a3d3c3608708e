r"""RKD: Relational Knowledge Distillation.

Park, Kim, Lu, Cho, CVPR 2019, `arXiv 1904.05068 <https://arxiv.org/abs/1904.05068>`_.
A relation method: distances between the samples of a batch, and the angles that three
of them form, follow the teacher's, whatever the width of the embeddings.

Recipe: metric learning, distance 1 and angle 2, lr 1e-4; classification, 25 and 50 on
the features before the classifier in RepDistiller, beside logit KD. Dense models have
few samples in a batch; there the averages over regions of the map are compared, which
is ours.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.direction import unit_vectors
from mmkd_ext.functional.pooling import average_grid
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._memory import gathered
from mmkd_ext.registry import MODELS

__all__ = [
    'RKDAngleLoss',
    'RKDDistanceLoss',
    'angle_relation_error',
    'distance_relation_error',
]

# Squares of differences that are this small beside the squares themselves are what
# rounding leaves of equal rows, whose distance is 0 and whose direction is none.
_ROUNDING = 16 * torch.finfo(torch.float64).eps
# Matrices of float64 that an anchor needs at once, forward and backward.
_HELD = 12


def distance_relation_error(
    student: Tensor, teacher: Tensor, *, anchors: slice | None = None
) -> Tensor:
    r"""Returns how the relative distance of each pair of rows differs.

    .. math::
        D_{ij} = \ell \left( \frac{d^S_{ij}}{\mu^S}, \frac{d^T_{ij}}{\mu^T} \right),
        \quad d_{ij} = \lVert x_i - x_j \rVert_2

    where :math:`\mu` is the mean of all distances above 0 and :math:`\ell` the Huber
    loss with a threshold of 1. Distances come from inner products in float64, so no
    tensor of differences is made; equal rows have distance 0 and no gradient.

    Args:
        student: Embeddings ``(n c)``.
        teacher: Embeddings ``(n d)``; their width may differ.
        anchors: The rows ``i`` that are returned; all if not given.

    Returns:
        Difference of each pair ``(n n)``, never negative; 0 for a single row.

    Raises:
        ShapeError: The number of rows differs.

    Examples:
        >>> x = torch.tensor([[0.0], [1.0], [2.0]])
        >>> distance_relation_error(x, 5 * x + 1).max()
        tensor(0.)
    """
    check_shapes(student=(student, 'n c'), teacher=(teacher, 'n d'))
    rows = slice(None) if anchors is None else anchors
    one, other = (_relative_distances(x)[rows] for x in (student, teacher))
    return F.smooth_l1_loss(one, other, reduction='none').to(student.dtype)


def angle_relation_error(
    student: Tensor,
    teacher: Tensor,
    *,
    anchors: slice | None = None,
    max_memory: float = 32,
) -> Tensor:
    r"""Returns how the angles at each row differ, a mean over all pairs of the others.

    .. math::
        A_j = \frac{1}{N^2} \sum_{i,k}
              \ell \left( \cos^S_{jik}, \cos^T_{jik} \right), \quad
        \cos_{jik} = \left\langle \frac{x_i - x_j}{\lVert x_i - x_j \rVert},
                     \frac{x_k - x_j}{\lVert x_k - x_j \rVert} \right\rangle

    with the Huber loss :math:`\ell` of threshold 1; a difference of equal rows has no
    direction, and 0 for its cosines. With the inner products :math:`G` of the rows,

    .. math:: \langle x_i - x_j, x_k - x_j \rangle
              = G_{ik} - G_{ij} - G_{kj} + G_{jj},

    so there are :math:`O(N^3)` steps whatever the width, where the differences alone
    take :math:`O(N^2 C)` of memory. It is computed in float64 for some anchors ``j`` at
    a time, and again for the gradient.

    Args:
        student: Embeddings ``(n c)``.
        teacher: Embeddings ``(n d)``; their width may differ.
        anchors: The rows ``j`` that are returned; all if not given.
        max_memory: Memory in MB that the anchors of a chunk may take, > 0, besides a
            few matrices ``(n n)``. One anchor is always held.

    Returns:
        Difference at each row ``(n)``, never negative.

    Raises:
        ShapeError: The number of rows differs.
        ConfigError: ``max_memory`` is not above 0.

    Examples:
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> bool(angle_relation_error(x, 5 * x + 1).max() < 1e-12)
        True
    """
    count = check_shapes(student=(student, 'n c'), teacher=(teacher, 'n d'))['n']
    check_range('max_memory', max_memory, gt=0)
    sides = (*_gram(student), *_gram(teacher))
    chosen = range(count)[slice(None) if anchors is None else anchors]
    chunk = max(1, int(max_memory * 2**20 / (_HELD * 8 * max(count, 1) ** 2)))
    parts = [
        checkpoint(
            _angle_error,
            *sides,
            slice(chosen[start], chosen[min(start + chunk, len(chosen)) - 1] + 1),
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for start in range(0, len(chosen), chunk)
    ]
    return torch.cat(parts).to(student.dtype)


def _gram(x: Tensor) -> tuple[Tensor, Tensor]:
    """Inner products of rows, and their distances, ``(n n)`` in float64.

    Centred rows have the same differences and lose fewer digits.
    """
    x = x.double()
    x = x - x.mean(0)
    gram = x @ x.T
    square = gram.diagonal()
    scale = square[:, None] + square
    squares = scale - 2 * gram
    equal = squares <= _ROUNDING * scale
    # the square root has no slope at 0, which a mask after it would not stop
    distances = squares.masked_fill(equal, 1).sqrt().masked_fill(equal, 0)
    return gram, distances


def _relative_distances(x: Tensor) -> Tensor:
    """Distances of rows over the mean of those above 0, ``(n n)`` in float64."""
    distances = _gram(x)[1]
    some = (distances > 0).sum().clamp(min=1)
    # equal rows, or a single one, have distances of 0 and no mean
    mean = distances.sum() / some
    return distances / mean.masked_fill(mean == 0, 1)


def _angle_error(
    gram_s: Tensor,
    distances_s: Tensor,
    gram_t: Tensor,
    distances_t: Tensor,
    anchors: slice,
) -> Tensor:
    one = _cosines(gram_s, distances_s, anchors)
    other = _cosines(gram_t, distances_t, anchors)
    return F.smooth_l1_loss(one, other, reduction='none').mean((1, 2))


def _cosines(gram: Tensor, distances: Tensor, anchors: slice) -> Tensor:
    """Cosines between the differences of all rows to each anchor, ``(a n n)``."""
    own = gram[anchors]
    far = distances[anchors]
    inverse = far.masked_fill(far == 0, torch.inf).reciprocal()
    inner = gram - own[:, :, None] - own[:, None, :]
    inner = inner + gram.diagonal()[anchors, None, None]
    return inner * inverse[:, :, None] * inverse[:, None, :]


class _RelationLoss(PairLoss):
    """What both terms share: the rows that are related.

    Args:
        regions: Rows and columns of the grid on which maps are averaged, one number
            for both; each cell of each map is a row. Vectors are rows themselves.
        normalize: Make each row a unit vector first.
        gather: Relate the rows of all processes; each one computes the relations of its
            own rows to all, so that DDP's mean is the loss of the whole batch.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(
        self,
        regions: int | Sequence[int] = 1,
        *,
        normalize: bool = False,
        gather: bool = False,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        self.regions = _grid(regions)
        self.normalize = normalize
        self.gather = gather

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the difference of the relations of each sample.

        Args:
            student: Vectors ``(n c)`` or maps ``(n c h w)``.
            teacher: Vectors ``(n d)`` or maps ``(n d i j)``.

        Raises:
            ShapeError: A side is neither, the batch differs, or one side is vectors
                and the other maps of several regions.
        """
        check_shapes(student=(student, 'n c ...'), teacher=(teacher, 'n d ...'))
        batch = len(student)
        own = [self._rows(x) for x in (student, teacher)]
        check_shapes(student=(own[0], 'n c'), teacher=(own[1], 'n d'))
        if not self.gather:
            return self.relate(own[0], own[1], None).reshape(batch, -1)
        (one, anchors), (other, _) = (_gathered(x) for x in own)
        return self.relate(one, other, anchors).reshape(batch, -1)

    @abstractmethod
    def relate(self, student: Tensor, teacher: Tensor, anchors: slice | None) -> Tensor:
        """Returns the items of the anchors, which are the rows of this process."""

    def _rows(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            x = average_grid(x, self.regions).flatten(2).transpose(1, 2).flatten(0, 1)
        elif x.dim() != 2:
            raise ShapeError(
                f'`{type(self).__name__}` takes vectors (n c) or maps (n c h w), but '
                f'got {tuple(x.shape)}.'
            )
        return unit_vectors(x, x.norm(dim=1, keepdim=True)) if self.normalize else x


@MODELS.register_module()
class RKDDistanceLoss(_RelationLoss):
    """Difference of relative distances, a mean over all ordered pairs.

    See :func:`distance_relation_error`. The pairs of a row with itself count in the
    mean, as in the authors' code. mmrazor's ``DistanceWiseRKD`` makes unit vectors
    first unless told otherwise; so does ``normalize=True``.

    Args:
        regions: Rows and columns of the grid on which maps are averaged, one number
            for both; each cell of each map is related to all cells of all maps.
        normalize: Make each row a unit vector first.
        gather: Relate the samples of all processes instead of those of each one.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    def relate(self, student: Tensor, teacher: Tensor, anchors: slice | None) -> Tensor:
        """Returns the differences ``(a n)`` of the anchors' rows."""
        return distance_relation_error(student, teacher, anchors=anchors)


@MODELS.register_module()
class RKDAngleLoss(_RelationLoss):
    """Difference of the angles between three samples, a mean over all triplets.

    See :func:`angle_relation_error`. Triplets in which a row stands twice count in the
    mean, as in the authors' code, whose tensor of differences this equals. mmrazor's
    ``AngleWiseRKD`` makes unit vectors first unless told otherwise.

    Args:
        regions: See `RKDDistanceLoss`; time grows with the cube of the cells.
        normalize: Make each row a unit vector first.
        gather: Relate the samples of all processes instead of those of each one.
        max_memory: Memory in MB that the matrices of a chunk may take, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    def __init__(
        self,
        regions: int | Sequence[int] = 1,
        *,
        normalize: bool = False,
        gather: bool = False,
        max_memory: float = 32,
        **policy: Any,
    ) -> None:
        super().__init__(regions, normalize=normalize, gather=gather, **policy)
        check_range('max_memory', max_memory, gt=0)
        self.max_memory = max_memory

    def relate(self, student: Tensor, teacher: Tensor, anchors: slice | None) -> Tensor:
        """Returns the mean difference ``(a)`` at the anchors."""
        return angle_relation_error(
            student, teacher, anchors=anchors, max_memory=self.max_memory
        )


def _grid(regions: int | Sequence[int]) -> tuple[int, int]:
    sides = tuple(regions) if isinstance(regions, (list, tuple)) else (regions,) * 2
    if len(sides) != 2:
        raise ConfigError(
            f'`regions` must be one number, or rows and columns, but is {regions!r}.'
        )
    for side in sides:
        check_integer('regions', side, ge=1)
    return sides


def _gathered(rows: Tensor) -> tuple[Tensor, slice]:
    """Returns the rows of all processes, and which of them are of this one."""
    if not (dist.is_available() and dist.is_initialized()):
        return rows, slice(0, len(rows))
    owners = torch.full((len(rows),), dist.get_rank(), device=rows.device)
    _, owners = gathered(rows[:, :0].detach(), owners)
    start = int((owners < dist.get_rank()).sum())
    whole: Tensor = _Gather.apply(rows, start)  # type: ignore[no-untyped-call]
    return whole, slice(start, start + len(rows))


class _Gather(torch.autograd.Function):
    """Joins the rows of all processes; each one gets the gradients of all of them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, start: int) -> Tensor:
        ctx.own = slice(start, start + len(rows))
        return gathered(rows, torch.zeros(len(rows), device=rows.device).long())[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad[ctx.own], None
