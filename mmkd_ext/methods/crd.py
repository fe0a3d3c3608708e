r"""CRD: Contrastive Representation Distillation.

Tian, Krishnan, Isola, ICLR 2020, `arXiv 1910.10699 <https://arxiv.org/abs/1910.10699>`_.
A relation method: of a picture and thousands of others from a memory, the student's
feature is to find the teacher's of the same picture, and the other way round.

Recipe: the pooled feature before the classifier, 128 channels, 16384 negatives of other
classes, ``tau=0.07``, ``decay=0.5``, ``loss_weight=0.8`` beside the cross entropy, or
with ``mmkd_ext.KDLoss`` of weight 1 as well. Needs the index of each sample in its data
set, which mmengine's data sets give as ``sample_idx``, and ``mmkd_ext.CRDClassesHook``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ShapeError,
    check_choice,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._memory import gathered, rank_and_count, seeded
from mmkd_ext.registry import MODELS

__all__ = ['CRDLoss', 'SampleIndices', 'contrast_scores', 'noise_contrast']

SampleIndices = Union[Tensor, 'Sequence[Any]']
"""Index of each picture in its data set ``(n)``, or for each its sample."""

# Numbers that are gathered from a memory at a time: 64 MiB of float32.
_CHUNK = 2**24
# Up to so many rows of the memory for each one that is looked at, all are multiplied:
# one after the other they are read as fast again as rows at random places.
_SHARE = 32


def contrast_scores(
    anchors: Tensor, memory: Tensor, indices: Tensor, *, tau: float = 0.07
) -> Tensor:
    r"""Returns the similarity of each anchor to rows of a memory.

    .. math:: S_{nk} = \frac{1}{\tau} \langle a_n, m_{i_{nk}} \rangle

    Args:
        anchors: Features ``(n d)``.
        memory: Features of all samples ``(m d)``.
        indices: Rows of the memory for each anchor ``(n k)``.
        tau: Temperature, > 0.

    Returns:
        Similarities ``(n k)``.

    Raises:
        ShapeError: An axis differs.

    Examples:
        >>> memory = torch.eye(2)
        >>> rows = torch.tensor([[1, 0, 1]])
        >>> contrast_scores(torch.ones(1, 2), memory, rows, tau=0.5)
        tensor([[2., 2., 2.]])
    """
    check_shapes(
        anchors=(anchors, 'n d'), memory=(memory, 'm d'), indices=(indices, 'n k')
    )
    check_range('tau', tau, gt=0)
    parts = []
    for rows in _chunks(memory, indices):
        some = anchors[rows] / tau
        if _multiplies_all(memory, indices):
            parts.append((some @ memory.T).gather(1, indices[rows]))
        else:
            parts.append(torch.einsum('nd,nkd->nk', some, memory[indices[rows]]))
    return torch.cat(parts) if parts else anchors.new_zeros(indices.shape)


def noise_contrast(
    anchors: Tensor,
    memory: Tensor,
    indices: Tensor,
    *,
    normalizer: Tensor,
    tau: float = 0.07,
) -> Tensor:
    r"""Returns how badly each anchor tells its own row of a memory from the others.

    With :math:`P_{nk} = \exp(S_{nk}) / Z` of :func:`contrast_scores`, the first of
    `K + 1` rows being the anchor's own, and `M` the number of samples,

    .. math::
        D_n = -\log \frac{P_{n0}}{P_{n0} + K / M}
              - \sum_{k=1}^{K} \log \frac{K / M}{P_{nk} + K / M}

    Computed in log space, so the small number of the authors' code is not needed. The
    rows are read in chunks, and for the backward pass only the gradient of the anchors
    is kept: the memory that this takes does not grow with ``n k d``.

    Args:
        anchors: Features ``(n d)``.
        memory: Features of all samples ``(m d)``, without a gradient.
        indices: Rows of the memory for each anchor, its own first, ``(n k+1)``.
        normalizer: The constant `Z`, > 0, one number.
        tau: Temperature, > 0.

    Returns:
        Loss of each anchor, >= 0, ``(n)``.

    Raises:
        ShapeError: An axis differs.

    Examples:
        >>> memory = torch.eye(2)
        >>> own = torch.tensor([[0, 1]])
        >>> noise_contrast(memory[:1], memory, own, normalizer=torch.ones(()), tau=1.0)
        tensor([1.2675])
    """
    check_shapes(
        anchors=(anchors, 'n d'), memory=(memory, 'm d'), indices=(indices, 'n k')
    )
    check_range('tau', tau, gt=0)
    value: Tensor = _NoiseContrast.apply(  # type: ignore[no-untyped-call]
        anchors, memory, indices, normalizer, tau
    )
    return value


class _NoiseContrast(torch.autograd.Function):
    """The loss of each anchor, and its gradient in the same pass over the memory."""

    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        memory: Tensor,
        indices: Tensor,
        normalizer: Tensor,
        tau: float,
    ) -> Tensor:
        negatives = indices.shape[1] - 1
        # log of (K / M) Z, which exp(S) is compared with
        offset = normalizer.log() + math.log(max(negatives, 1) / len(memory))
        values, slopes = [], []
        for rows in _chunks(memory, indices):
            some = indices[rows]
            everything = _multiplies_all(memory, indices)
            gathered_rows = None if everything else memory[some]
            scaled = anchors[rows] / tau
            if gathered_rows is None:
                scores = (scaled @ memory.T).gather(1, some)
            else:
                scores = (gathered_rows @ scaled.unsqueeze(2)).squeeze(2)
            apart = scores.sub_(offset)
            # of its own row -log sigmoid(x), of the others -log sigmoid(-x)
            apart[:, 0].neg_()
            values.append(F.softplus(apart).sum(1))
            if ctx.needs_input_grad[0]:
                pull = apart.sigmoid_()
                pull[:, 0].neg_()
                if gathered_rows is None:
                    spread = pull.new_zeros(len(pull), len(memory))
                    slope = spread.scatter_add_(1, some, pull) @ memory
                else:
                    slope = (pull.unsqueeze(1) @ gathered_rows).squeeze(1)
                slopes.append(slope / tau)
        if slopes:
            ctx.save_for_backward(torch.cat(slopes))
        return torch.cat(values) if values else anchors.new_zeros(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        (slope,) = ctx.saved_tensors
        return slope * grad.unsqueeze(1), None, None, None, None


def _multiplies_all(memory: Tensor, indices: Tensor) -> bool:
    return len(memory) <= _SHARE * indices.shape[1]


def _chunks(memory: Tensor, indices: Tensor) -> Iterator[slice]:
    """Anchors of which so many fit into a chunk."""
    looked = len(memory) if _multiplies_all(memory, indices) else memory.shape[1]
    wide = looked if _multiplies_all(memory, indices) else looked * indices.shape[1]
    step = max(_CHUNK // max(wide, 1), 1)
    for start in range(0, len(indices), step):
        yield slice(start, start + step)


class _Order(NamedTuple):
    """The samples sorted by class, on the CPU.

    Args:
        classes: Class of each sample.
        order: The samples, class by class.
        starts: Where each class begins in `order`.
        counts: How many samples each class has.
    """

    classes: Tensor
    order: Tensor
    starts: Tensor
    counts: Tensor


@MODELS.register_module()
class CRDLoss(PairLoss):
    r"""Contrast with two memories of the features of all samples.

    .. math:: L = \frac{1}{N} \sum_n D^S_n + D^T_n

    :math:`D^S` of :func:`noise_contrast` has the student's embedded features as anchors
    and the teacher's memory, :math:`D^T` the other way round. Features are embedded by
    a linear layer and brought to length 1; both layers learn. After each step the rows
    of the batch in both memories move to the new features,
    :math:`m \leftarrow d m + (1 - d) v`, brought to length 1 again. `Z` of each memory
    is set in the first step, to the mean of :math:`\exp(S)` times the number of
    samples, and then stays.

    Memories, `Z`, the classes and the number of steps are buffers, so a resumed run
    goes on as if it had never stopped. On several processes each adds the features of
    all to its memories, so that these stay equal; each draws negatives of its own.

    Negatives are drawn with replacement from all samples of other classes.
    ``mode='relax'`` draws the positive from the samples of the same class, too.

    mmrazor's ``CRDLoss`` leaves its ``loss_weight`` unused, returns a loss of shape
    ``(1,)``, and on several processes its memories drift apart.

    Args:
        samples: Number of samples in the data set that is trained on.
        student_channels: Width of the student's feature.
        teacher_channels: Width of the teacher's.
        channels: Width of the embedded features.
        negatives: Number `K` of negatives, >= 1.
        tau: Temperature, > 0.
        decay: What a row of the memory keeps in a step, in [0, 1].
        mode: ``'exact'`` or ``'relax'``.
        seed: First weights of the memories, and what is drawn, depend on it alone.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> loss = CRDLoss(samples=4, student_channels=8, teacher_channels=16)
        >>> loss.set_classes(torch.tensor([0, 0, 1, 1]))
        >>> batch = torch.rand(2, 8), torch.rand(2, 16)
        >>> loss(*batch, indices=torch.tensor([0, 3])) > 0
        tensor(True)
    """

    alignable: ClassVar[frozenset[str]] = frozenset()
    any_shape: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    only_forward: ClassVar[tuple[str, ...]] = ('steps',)
    """Buffers that no skipped batch sets back."""

    student_memory: Tensor
    teacher_memory: Tensor
    normalizers: Tensor
    classes: Tensor
    steps: Tensor

    def __init__(
        self,
        samples: int,
        student_channels: int,
        teacher_channels: int,
        channels: int = 128,
        negatives: int = 16384,
        tau: float = 0.07,
        decay: float = 0.5,
        mode: str = 'exact',
        seed: int = 0,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        for name, number in (
            ('samples', samples),
            ('student_channels', student_channels),
            ('teacher_channels', teacher_channels),
            ('channels', channels),
            ('negatives', negatives),
        ):
            check_integer(name, number, ge=1)
        check_integer('seed', seed)
        check_range('tau', tau, gt=0)
        check_range('decay', decay, ge=0, le=1)
        check_choice('mode', mode, ('exact', 'relax'))
        self.negatives, self.tau, self.decay = negatives, tau, decay
        self.mode, self.seed = mode, seed
        self.embed_student = nn.Linear(student_channels, channels)
        self.embed_teacher = nn.Linear(teacher_channels, channels)
        # the same on all processes, whatever they have drawn before
        generator = seeded(seed)
        bound = 1 / math.sqrt(channels / 3)
        for side in ('student', 'teacher'):
            rows = torch.rand(samples, channels, generator=generator)
            self.register_buffer(f'{side}_memory', rows.mul_(2).sub_(1).mul_(bound))
        self.register_buffer('normalizers', torch.full((2,), -1.0))
        self.register_buffer('classes', torch.full((samples,), -1))
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        # read in every step without waiting for a device; the buffer is for checkpoints
        self._steps = 0
        self._order: _Order | None = None

    def extra_repr(self) -> str:
        """Returns the policy and the size of the memories."""
        rows, channels = self.student_memory.shape
        return f'{super().extra_repr()}, samples={rows}, channels={channels}'

    def set_classes(self, classes: Tensor) -> None:
        """Says which class each sample of the data set is of.

        Args:
            classes: Index of each sample's class ``(samples)``.

        Raises:
            ConfigError: They are not as many as `samples`, or all of one class.
            CheckpointError: The memory, resumed from a checkpoint, is of other samples.
        """
        classes = classes.to(self.classes)
        if classes.shape != self.classes.shape:
            raise ConfigError(
                f'the data set has {len(classes)} samples, but `CRDLoss` was made for '
                f'{len(self.classes)}; set `samples`.'
            )
        if self._steps and not torch.equal(classes, self.classes):
            raise CheckpointError(
                'the memory of `CRDLoss` in the checkpoint is of another data set: the '
                "samples' classes differ. Resume with the data set that it was trained "
                'on, or start anew.'
            )
        if int(classes.min()) == int(classes.max()):
            raise ConfigError(
                'all samples are of one class, so `CRDLoss` finds no negative.'
            )
        self.classes.copy_(classes)
        self._order = None

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, indices: SampleIndices
    ) -> Tensor:
        """Returns the loss of each sample ``(n)``.

        Args:
            student: Features ``(n c)``; maps ``(n c h w)`` are averaged.
            teacher: Features ``(n d)`` or maps.
            indices: Index of each sample in its data set ``(n)``, or the samples of the
                batch with their ``sample_idx``.
        """
        ours = self._embed(student, self.embed_student, 'student')
        theirs = self._embed(teacher, self.embed_teacher, 'teacher')
        check_shapes(student=(ours, 'n d'), teacher=(theirs, 'n d'))
        index = self._indices(indices, ours)
        rows = self._draw(index)
        self._normalize(ours, theirs, rows)
        items = noise_contrast(
            ours,
            self.teacher_memory,
            rows,
            normalizer=self.normalizers[0],
            tau=self.tau,
        ) + noise_contrast(
            theirs,
            self.student_memory,
            rows,
            normalizer=self.normalizers[1],
            tau=self.tau,
        )
        if self.training:
            self._update(ours, theirs, index)
        return items

    def _embed(self, feature: Tensor, layer: nn.Linear, side: str) -> Tensor:
        if feature.dim() == 4:
            feature = feature.mean((2, 3))
        if feature.dim() != 2 or feature.shape[1] != layer.in_features:
            raise ShapeError(
                f'the {side} of `CRDLoss` has features (n {layer.in_features}), but '
                f'got {tuple(feature.shape)}; set `{side}_channels`.'
            )
        return F.normalize(layer(feature), dim=1)

    def _indices(self, indices: SampleIndices, anchors: Tensor) -> Tensor:
        if not isinstance(indices, Tensor):
            indices = torch.tensor([_index_of(sample) for sample in indices])
        check_shapes(student=(anchors, 'n d'), indices=(indices, 'n'))
        known = len(self.classes)
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < known:
            raise ConfigError(
                f'sample indices reach {int(indices.max())}, but `CRDLoss` was made '
                f'for {known} samples; set `samples` to the size of the data set.'
            )
        return indices.to(anchors.device, torch.long)

    @torch.no_grad()
    def _draw(self, index: Tensor) -> Tensor:
        """Returns the positive of each sample and its negatives ``(n k+1)``."""
        if self._order is None:
            self._order = self._sorted()
        classes, order, starts, counts = self._order
        rank, _ = rank_and_count()
        generator = seeded(self.seed * 1_000_003 + self._steps + (rank + 1) * 2**40)
        if self.training:
            self._steps += 1
            self.steps.fill_(self._steps)
        index = index.cpu()
        own = classes[index]
        start, count = starts[own, None], counts[own, None]
        others = len(order) - count
        chance = torch.rand(
            len(index), self.negatives, generator=generator, dtype=torch.float64
        )
        # rounding may bring the product of a chance below 1 up to the number itself
        place = torch.minimum((chance * others).long(), others - 1)
        # all but the places of the own class
        negatives = order[place + count * (place >= start)]
        positives = index[:, None]
        if self.mode == 'relax':
            chance = torch.rand(len(index), 1, generator=generator, dtype=torch.float64)
            positives = order[start + torch.minimum((chance * count).long(), count - 1)]
        return torch.cat([positives, negatives], 1).to(self.classes.device)

    def _sorted(self) -> _Order:
        """Sorts the samples by class."""
        classes = self.classes.cpu()
        if int(classes.min()) < 0:
            raise ConfigError(
                '`CRDLoss` does not know the classes of the samples, by which it draws '
                "negatives; add custom_hooks=[dict(type='mmkd_ext.CRDClassesHook')]."
            )
        counts = classes.bincount()
        order = classes.argsort(stable=True)
        return _Order(classes, order, counts.cumsum(0) - counts, counts)

    @torch.no_grad()
    def _normalize(self, ours: Tensor, theirs: Tensor, rows: Tensor) -> None:
        """Sets both `Z` in the first step."""
        if bool((self.normalizers > 0).all()):
            return
        sides = ((ours, self.teacher_memory), (theirs, self.student_memory))
        means = torch.stack(
            [
                contrast_scores(anchors, memory, rows, tau=self.tau).exp().mean()
                for anchors, memory in sides
            ]
        )
        _, processes = rank_and_count()
        if processes > 1:
            torch.distributed.all_reduce(means)
        self.normalizers.copy_(means / processes * len(self.classes))

    @torch.no_grad()
    def _update(self, ours: Tensor, theirs: Tensor, index: Tensor) -> None:
        """Moves the rows of the samples of all processes to their new features."""
        both, index = gathered(torch.cat([ours, theirs], 1), index)
        # a sample that came twice, as samplers pad an epoch: the last one counts
        unique, group = index.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        last = torch.zeros_like(unique).scatter_reduce_(
            0, group, torch.arange(len(index), device=index.device), 'amax'
        )
        sides = both[last].chunk(2, 1)
        for memory, rows in zip((self.student_memory, self.teacher_memory), sides):
            moved = self.decay * memory[unique] + (1 - self.decay) * rows.to(memory)
            memory[unique] = F.normalize(moved, dim=1)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        saved = state_dict.get(f'{prefix}student_memory')
        if saved is not None and saved.shape != self.student_memory.shape:
            raise CheckpointError(
                f'the memory `{prefix}student_memory` in the checkpoint is '
                f'{tuple(saved.shape)}, but here it is '
                f'{tuple(self.student_memory.shape)}: it is of another data set or '
                'width. Resume with these as they were, or start anew.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._steps = int(self.steps)
        self._order = None


def _index_of(sample: Any) -> int:
    index = getattr(sample, 'sample_idx', None)
    if index is None:
        raise DataError(
            f'a sample (`{type(sample).__name__}`) has no `sample_idx`, by which '
            '`CRDLoss` knows it again. Name it in `meta_keys` of the transform that '
            "packs, such as dict(type='mmpretrain.PackInputs', "
            "meta_keys=('sample_idx',))."
        )
    return int(index)
