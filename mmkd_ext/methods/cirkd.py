r"""CIRKD: Cross-Image Relational Knowledge Distillation for Semantic Segmentation.

Yang, Zhou, An, Jiang, Xu, Zhang, CVPR 2022, `arXiv 2204.06986
<https://arxiv.org/abs/2204.06986>`_. A relation method: to which pixels of other images
a pixel is alike, the student learns from the teacher. The others are those of the batch
(`CIRKDMiniBatchLoss`), or pixels and regions of earlier ones, kept in a memory for each
class (`CIRKDPixelMemoryLoss`, `CIRKDRegionMemoryLoss`).

Recipe: feature before the classifier; pixel-wise KD with weight 1, mini-batch 1, each
memory 0.1 (VOC 0.01), all with a temperature of 0.1 (KD 1). The student meets the
memories through a `CIRKDProjection`.

The second version of the authors' code refines the student's feature first, by what
all positions have to say to each one, and compares the refined one in all terms. It
adds relations between channels (`CIRKDChannelLoss`, weight 1; `CIRKDChannelMemoryLoss`,
0.1), their squared error (`CIRKDChannelErrorLoss`, 100), and FitNets (1 for
Cityscapes, 10 in their scripts for other data sets). `CIRKDHeads` makes all that these
compare of the student, `CIRKDPool` what channels are compared with.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Callable, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.direction import unit_vectors
from mmkd_ext.methods._base import PairLoss, check_map
from mmkd_ext.methods._labels import labelled, labels_at
from mmkd_ext.methods._memory import KeyMemory, gathered, ranks
from mmkd_ext.registry import MODELS

__all__ = [
    'CIRKDChannelErrorLoss',
    'CIRKDChannelLoss',
    'CIRKDChannelMemoryLoss',
    'CIRKDHeads',
    'CIRKDMiniBatchLoss',
    'CIRKDPixelMemoryLoss',
    'CIRKDPool',
    'CIRKDProjection',
    'CIRKDRegionMemoryLoss',
    'channel_relation_divergence',
    'contrast_divergence',
    'pixel_relation_divergence',
]

# Matrices of a chunk of rows that are held at once: two of logarithms, one of
# probabilities or of raw cosines.
_HELD = 3


def pixel_relation_divergence(
    student: Tensor, teacher: Tensor, *, tau: float = 0.1, max_memory: float = 256
) -> Tensor:
    r"""Returns the divergence of each pixel's relations to the pixels of all images.

    .. math::
        D_{ia} = \frac{1}{N} \sum_j \sum_b p^T_{iajb}
                 \log \frac{p^T_{iajb}}{p^S_{iajb}}, \quad
        p_{iajb} = \operatorname{softmax}_b \left(
            \frac{\cos(x_{ia}, x_{jb})}{\tau} \right)

    for pixels ``a`` of image ``i`` and ``b`` of image ``j``, with all ``N**2`` ordered
    pairs of images, each with itself too. There is no factor ``tau**2``. The ``h w x h
    w`` matrix of a pair is made a few rows at a time, also for the gradient, which is
    found along with the value where all items have equal weight, as in a mean, and
    otherwise in a second pass.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n d h w)``; its channels may differ in number.
        tau: Temperature, > 0.
        max_memory: Memory in MB that the rows of a chunk may take, > 0, besides a few
            copies of the features. One row is always held.

    Returns:
        Divergence at each pixel in nats, never negative but for rounding, ``(n h w)``.

    Raises:
        ShapeError: Batch or size differ between ``student`` and ``teacher``.
        ConfigError: ``tau`` or ``max_memory`` is not above 0.

    Examples:
        >>> x = torch.eye(2).reshape(1, 2, 1, 2)
        >>> pixel_relation_divergence(x, torch.ones(1, 3, 1, 2), tau=1.0)
        tensor([[[0.1201, 0.1201]]])
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
    s, t = student.flatten(2).transpose(1, 2), teacher.flatten(2).transpose(1, 2)
    rows = _relations(s, t, tau, max_memory)
    return rows.reshape(student.shape[0], *student.shape[2:])


def channel_relation_divergence(
    student: Tensor, teacher: Tensor, *, tau: float = 0.1, max_memory: float = 256
) -> Tensor:
    """Returns the divergence of each channel's relations to those of all images.

    As `pixel_relation_divergence`, with channels in the place of pixels: each one is a
    vector over the positions.

    The student is ``(n c h w)``, the teacher ``(n c i j)``, of which the size may
    differ; ``(n c)``. The second version of the authors' code.
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c i j'))
    rows = _relations(student.flatten(2), teacher.flatten(2), tau, max_memory)
    return rows.reshape(student.shape[:2])


def contrast_divergence(
    student: Tensor,
    teacher: Tensor,
    keys: Tensor,
    *,
    tau: float = 0.1,
    max_memory: float = 256,
) -> Tensor:
    r"""Returns the divergence of each feature's relations to the same keys.

    .. math::
        D_i = \sum_k p^T_{ik} \log \frac{p^T_{ik}}{p^S_{ik}}, \quad
        p_{ik} = \operatorname{softmax}_k \left(
            \frac{\langle x_i, v_k \rangle}{\tau \lVert x_i \rVert} \right)

    Args:
        student: Features ``(m c)``.
        teacher: Features ``(m c)``.
        keys: Constants of length 1 that both are compared with, ``(k c)``.
        tau: Temperature, > 0.
        max_memory: As for `pixel_relation_divergence`.

    Returns:
        Divergence of each feature in nats, ``(m)``; 0 if there are no keys.

    Examples:
        >>> x = torch.tensor([[1.0, 0.0]])
        >>> contrast_divergence(x, torch.ones(1, 2), torch.eye(2), tau=1.0)
        tensor([0.1201])
    """
    sizes = check_shapes(
        student=(student, 'm c'), teacher=(teacher, 'm c'), keys=(keys, 'k c')
    )
    student, teacher = _units_alike(student, teacher, tau, max_memory)
    if sizes['k'] == 0:
        # nothing to compare with, but still a part of the graph
        return 0 * (student + teacher).sum(1)
    groups = keys.detach().to(student.dtype)[None]
    return _divergence(student, groups, teacher, groups, tau, max_memory)


def _relations(
    student: Tensor, teacher: Tensor, tau: float, max_memory: float
) -> Tensor:
    """Compares features ``(n m c)`` and ``(n m d)``, each with those of all images."""
    s, t = (x.contiguous() for x in _units_alike(student, teacher, tau, max_memory))
    return _divergence(s.flatten(0, 1), s, t.flatten(0, 1), t, tau, max_memory)


def _units_alike(
    student: Tensor, teacher: Tensor, tau: float, max_memory: float
) -> list[Tensor]:
    """Returns both sides with features of length 1 and of one type."""
    check_range('tau', tau, gt=0)
    check_range('max_memory', max_memory, gt=0)
    dtype = torch.promote_types(student.dtype, teacher.dtype)
    sides = (student.to(dtype), teacher.to(dtype))
    return [unit_vectors(x, x.norm(dim=-1, keepdim=True)) for x in sides]


class _Sides(NamedTuple):
    """Rows ``(m c)`` and groups of keys ``(g k c)``, or what belongs to each."""

    rows_s: Any
    keys_s: Any
    rows_t: Any
    keys_t: Any


def _divergence(*arguments: Any) -> Tensor:
    """Returns the divergence of each row ``(m)``, a mean over the groups of keys."""
    return cast('Tensor', _Divergence.apply(*arguments))  # type: ignore[no-untyped-call]


def _walk(
    sides: _Sides,
    wanted: _Sides,
    tau: float,
    max_memory: float,
    weight: Tensor | None = None,
) -> tuple[Tensor, _Sides]:
    """Returns divergences ``(m)`` and gradients, None where not wanted.

    Those of a row are of its own divergence, those of the keys of the weighted sum.
    """
    values = sides.rows_s.new_zeros(sides.rows_s.shape[0])
    slopes = _Sides(
        *(torch.zeros_like(x) if w else None for x, w in zip(sides, wanted))
    )
    count, keys = sides.keys_s.shape[:2]
    row = _HELD * max(keys, 1) * values.element_size()
    size = max(1, int(max_memory * 2**20 / row))
    for start in range(0, len(values), size):
        at = slice(start, start + size)
        own = None if weight is None else weight[at, None]
        # the matrices of a step are let go of before the next one's are made
        for group in range(count):
            values[at] += _step(sides, slopes, at, group, tau, own)
    values /= count
    for slope, scale in zip(slopes, (count * tau, count) * 2):
        if slope is not None:
            slope /= scale
    return values, slopes


def _step(
    sides: _Sides,
    slopes: _Sides,
    at: slice,
    group: int,
    tau: float,
    weight: Tensor | None,
) -> Tensor:
    """Compares a chunk of rows with a group of keys, and adds up their gradients."""
    keys_s, keys_t = sides.keys_s[group], sides.keys_t[group]
    s, t = sides.rows_s[at] / tau, sides.rows_t[at] / tau
    log_q = (s @ keys_s.t()).log_softmax(1)
    log_p = (t @ keys_t.t()).log_softmax(1)
    p = log_p.exp()
    terms = log_p.sub_(log_q).mul_(p)
    divergence: Tensor = terms.sum(1)
    if any(slope is not None for slope in slopes[:2]):
        _pull(log_q.exp_().sub_(p), keys_s, s, slopes[:2], at, group, weight)
    if any(slope is not None for slope in slopes[2:]):
        # of the teacher's logits; terms are not needed any more
        pull = terms.addcmul_(p, divergence[:, None], value=-1)
        _pull(pull, keys_t, t, slopes[2:], at, group, weight)
    return divergence


def _pull(
    pull: Tensor,
    keys: Tensor,
    rows: Tensor,
    slopes: Sequence[Tensor | None],
    at: slice,
    group: int,
    weight: Tensor | None,
) -> None:
    """Accumulates the gradients of rows and keys from that of a chunk of logits."""
    of_rows, of_keys = slopes
    if of_rows is not None:
        of_rows[at].addmm_(pull, keys)
    if of_keys is not None:
        of_keys[group].addmm_(pull.t(), rows if weight is None else rows * weight)


class _Divergence(torch.autograd.Function):
    """Divergences of rows, and their gradient without a second pass where possible.

    A row's own gradient scales with that of its divergence. The gradient of the keys
    mixes the rows; it is found with weight 1 for all of them, which a sum or mean
    scales, and anew for other weights.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows_s: Tensor,
        keys_s: Tensor,
        rows_t: Tensor,
        keys_t: Tensor,
        tau: float,
        max_memory: float,
    ) -> Tensor:
        sides = _Sides(rows_s, keys_s, rows_t, keys_t)
        wanted = _Sides(*ctx.needs_input_grad[:4])
        values, slopes = _walk(sides, wanted, tau, max_memory)
        ctx.save_for_backward(*sides, *slopes)
        ctx.settings = tau, max_memory
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        sides = _Sides(*ctx.saved_tensors[:4])
        slopes = _Sides(*ctx.saved_tensors[4:])
        of_keys: Sequence[Tensor | None] = (slopes.keys_s, slopes.keys_t)
        if any(slope is not None for slope in of_keys):
            if len(grad) > 1 and grad.stride(0) != 0:
                wanted = (slopes.keys_s is not None, slopes.keys_t is not None)
                sides_wanted = _Sides(False, wanted[0], False, wanted[1])
                tau, max_memory = ctx.settings
                _, again = _walk(sides, sides_wanted, tau, max_memory, grad)
                of_keys = (again.keys_s, again.keys_t)
            else:
                # one number for all rows, as a sum spreads it; not waited for
                of_keys = [x if x is None else x * grad[:1].sum() for x in of_keys]
        of_s, of_t = (
            x if x is None else x * grad[:, None]
            for x in (slopes.rows_s, slopes.rows_t)
        )
        return of_s, of_keys[0], of_t, of_keys[1], None, None


@MODELS.register_module()
class CIRKDProjection(nn.Module):
    """Projects the student's feature to the teacher's channels.

    Two 1x1 convolutions without bias, batch normalisation and ReLU between them. The
    authors' normalisation is synchronised; ``sync_bn='torch'`` in a config makes it so.

    Args:
        in_channels: Channels of the student's map.
        out_channels: Channels of the teacher's map; also between the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        for name, number in (('in', in_channels), ('out', out_channels)):
            check_integer(f'{name}_channels', number, ge=1)
        self.in_channels = in_channels
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 1, bias=False),
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to ``(n out_channels h w)``."""
        self.check(feature)
        projected: Tensor = self.layers(feature)
        return projected

    def check(self, feature: Tensor) -> None:
        """Raises `ShapeError` where a feature is no map or has other channels."""
        check_map('the connector', feature, self.in_channels, 'in_channels')


@MODELS.register_module()
class CIRKDPool(nn.Module):
    """Averages a feature over windows.

    Args:
        window: Side of the windows; 4 in the authors' second version, before channels
            are compared. Windows at the border may be smaller.
    """

    def __init__(self, window: int = 4) -> None:
        super().__init__()
        check_integer('window', window, ge=1)
        self.window = window

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to ``(n c ceil(h/window) ceil(w/window))``."""
        return _pooled(feature, self.window)


def _pooled(x: Tensor, window: int) -> Tensor:
    sides = tuple(min(window, side) for side in x.shape[2:])
    return x if max(sides) == 1 else F.avg_pool2d(x, sides, ceil_mode=True)


class PositionContext(nn.Module):
    r"""Refines a feature at each position by what all positions have.

    .. math::
        y_i = r(x_i, g(\sum_j \operatorname{softmax}_j
              (q_i \cdot k_j / \sqrt{c / 2}) \, v_j))

    The graph convolution of CIRKD's second version, whose edges are dot products of
    positions. `q`, `k` and `v` are 1x1 convolutions to half the channels, `g` one back
    and `r` one that joins both; none has a bias, and batch normalisation and ReLU
    follow `g` and `r`. No matrix of all pairs of positions is kept where PyTorch's
    attention can do without. A feature has 2 channels or more.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        check_range('channels', channels, ge=2)
        half = channels // 2
        self.query, self.key, self.value = (
            nn.Conv2d(channels, half, 1, bias=False) for _ in range(3)
        )
        self.gather = _normed(half, channels)
        self.join = _normed(2 * channels, channels)

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to the same shape."""
        query, key, value = (
            layer(feature).flatten(2).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        seen = self.gather(seen.reshape(len(feature), -1, *feature.shape[2:]))
        refined: Tensor = self.join(torch.cat([feature, seen], 1))
        return refined


def _normed(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


@MODELS.register_module()
class CIRKDHeads(nn.Module):
    """Makes the student's features that the second version compares.

    Choose by ``connector_item``: 0 is the feature refined by its context, for relations
    in the batch; 1 that in the teacher's channels by a 1x1 convolution without bias,
    for FitNets; 2 through a `CIRKDProjection`, for the memories of pixels and regions;
    3 pooled and then through another `CIRKDProjection`, for channels. Links that share
    the connector by its name run it once a step. On several processes each of the four
    must be compared by some link, for DDP waits for all gradients; leave a term out by
    ``loss_weight=0``.

    Args:
        in_channels: Channels of the student's map.
        out_channels: Channels of the teacher's map.
        window: Side of the windows that are averaged before channels are compared; the
            teacher's side takes a `CIRKDPool` of the same.
    """

    def __init__(self, in_channels: int, out_channels: int, window: int = 4) -> None:
        super().__init__()
        self.pixels = CIRKDProjection(in_channels, out_channels)
        self.channels = CIRKDProjection(in_channels, out_channels)
        self.context = PositionContext(in_channels)
        self.regressor = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pool = CIRKDPool(window)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns four maps of ``(n c h w)``, see the class."""
        self.pixels.check(feature)
        refined = self.context(feature)
        return (
            refined,
            self.regressor(refined),
            self.pixels(refined),
            self.channels(self.pool(refined)),
        )


class _RelationLoss(PairLoss):
    """Base of the losses on relations within a batch."""

    def __init__(
        self, tau: float = 0.1, *, pool: int = 1, max_memory: float = 256, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        check_integer('pool', pool, ge=1)
        check_range('max_memory', max_memory, gt=0)
        self.tau, self.pool, self.max_memory = tau, pool, max_memory

    def _related(
        self, divergence: Callable[..., Tensor], student: Tensor, teacher: Tensor
    ) -> Tensor:
        student, teacher = (_pooled(x, self.pool) for x in (student, teacher))
        return divergence(student, teacher, tau=self.tau, max_memory=self.max_memory)


@MODELS.register_module()
class CIRKDMiniBatchLoss(_RelationLoss):
    """Divergence of each pixel's relations to the pixels of the batch, a mean.

    See :func:`pixel_relation_divergence`. The images are those of one process, as in
    the authors' code.

    Args:
        tau: Temperature, > 0.
        pool: Side of the windows that are averaged before. 1 is none, as published for
            CNNs; SegFormer, whose maps are larger, was trained with 2. Windows at the
            border may be smaller.
        max_memory: Memory in MB for the matrices of relations; values do not depend on
            it.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence at each pooled pixel ``(n h w)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
        return self._related(pixel_relation_divergence, student, teacher)


@MODELS.register_module()
class CIRKDChannelLoss(_RelationLoss):
    """Divergence of each channel's relations to the channels of the batch, a mean.

    See :func:`channel_relation_divergence`. Second version. The authors pool both sides
    by 4 and project the student's then, so it is connectors that pool: `CIRKDHeads` and
    `CIRKDPool`. Batch normalisation and ReLU lie between, and pooling behind the
    projection gives something else.

    Args:
        tau: Temperature, > 0.
        settings: As of `CIRKDMiniBatchLoss`.
    """

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where channels differ in number."""
        _check_channels(self, student, teacher)

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence of each channel ``(n c)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
        return self._related(channel_relation_divergence, student, teacher)


@MODELS.register_module()
class CIRKDChannelErrorLoss(PairLoss):
    r"""Squared difference of the channels, each of length 1, a mean over all elements.

    .. math::
        L = \frac{1}{N C H W} \sum_{n,c} \left\lVert
            \frac{s_{nc}}{\lVert s_{nc} \rVert} - \frac{t_{nc}}{\lVert t_{nc} \rVert}
            \right\rVert^2

    A channel is a vector over the positions. Second version, weight 100.

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> x = torch.eye(2).reshape(1, 2, 1, 2)
        >>> CIRKDChannelErrorLoss(loss_weight=100.0)(x, x.flip(1))
        tensor(100.)
    """

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where channels differ in number."""
        _check_channels(self, student, teacher)

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the squared differences ``(n c h*w)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
        student, teacher = (
            F.normalize(x.flatten(2), dim=2) for x in (student, teacher)
        )
        return (student - teacher).square()


class _MemoryLoss(PairLoss):
    """Base of the losses on relations to features of earlier steps.

    A subclass makes the memory in its constructor, with `_make_memory`.
    """

    memory: KeyMemory

    def __init__(
        self,
        *,
        samples: int,
        tau: float = 0.1,
        enqueue_first: bool = True,
        max_memory: float = 256,
        seed: int = 0,
        storage: str = 'float32',
        saved: bool = True,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_integer('samples', samples, ge=1)
        check_range('tau', tau, gt=0)
        check_range('max_memory', max_memory, gt=0)
        check_integer('seed', seed)
        self.samples, self.tau, self.max_memory = samples, tau, max_memory
        self.enqueue_first = enqueue_first
        self.seed, self.storage, self.saved = seed, storage, saved

    def _make_memory(self, rings: int, size: int, channels: int) -> None:
        self.memory = KeyMemory(
            rings, size, channels, self.seed, storage=self.storage, saved=self.saved
        )

    def _one_level(self, levels: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        if len(levels) > 1:
            raise ShapeError(
                f'`{type(self).__name__}` remembers one level, but got {len(levels)}; '
                'choose one with `item`, or make a link for each.'
            )
        return levels[0]

    def _remember(
        self, new: tuple[Tensor, Tensor] | None, common: torch.Generator
    ) -> Tensor:
        """Draws keys ``(k c)`` from the memory, which gets the new ones."""
        if new is not None and self.enqueue_first:
            self.memory.put(*new)
        keys = self.memory.draw(self.samples, common)
        if new is not None and not self.enqueue_first:
            self.memory.put(*new)
        return keys

    def _contrast(self, student: Tensor, teacher: Tensor, keys: Tensor) -> Tensor:
        return contrast_divergence(
            student, teacher, keys, tau=self.tau, max_memory=self.max_memory
        )


class _ClassMemoryLoss(_MemoryLoss):
    """Base of the losses on relations between pixels and keys of each class."""

    published_size: ClassVar[int]
    """Keys that the authors remember for each class."""
    published_samples: ClassVar[int]
    """Keys that the authors draw in a step, of all classes together."""

    def __init__(
        self,
        num_classes: int,
        channels: int,
        *,
        size: int | None = None,
        samples: int | None = None,
        ignore_index: int = 255,
        **settings: Any,
    ) -> None:
        check_integer('num_classes', num_classes, ge=1)
        size = self.published_size if size is None else size
        if samples is None:
            samples = self.published_samples // num_classes + 1
        super().__init__(samples=samples, **settings)
        self._make_memory(num_classes, size, channels)
        self.num_classes = num_classes
        self.channels = channels
        check_integer('ignore_index', ignore_index)
        self.ignore_index = ignore_index

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where channels differ from each other or from the memory's."""
        if teacher.dim() == 4 and teacher.shape[1] != self.channels:
            raise ShapeError(
                f'the teacher has {teacher.shape[1]} channels, but '
                f'`{type(self).__name__}` has channels={self.channels}.'
            )
        _check_channels(self, student, teacher)

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]], data_samples: Sequence[Any]
    ) -> list[Tensor]:
        """Returns the items of the one level; samples have ``gt_sem_seg.data``."""
        return [self.compute(*self._one_level(levels), data_samples=data_samples)]

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, data_samples: Sequence[Any]
    ) -> Tensor:
        """Returns the divergence at each pixel ``(n h w)``, see the class."""
        pattern = f'n {self.channels} h w'
        check_shapes(student=(student, pattern), teacher=(teacher, pattern))
        labels = labels_at(data_samples, student)
        kept = labelled(labels, self.num_classes, ignore_index=self.ignore_index)
        # rows of all pixels, and of those that count
        student, teacher = (x.permute(0, 2, 3, 1) for x in (student, teacher))
        own, common = self.memory.generators()
        new = None
        if self.training:
            new = gathered(*self._new_keys(teacher.detach(), labels, kept, own))
        keys = self._remember(new, common)
        items = self._contrast(student[kept], teacher[kept], keys)
        # a mean over all items is then one over the pixels that count
        scale = labels.numel() / max(len(items), 1)
        return items.new_zeros(labels.shape).index_put((kept,), items * scale)

    @abstractmethod
    def _new_keys(
        self, teacher: Tensor, labels: Tensor, kept: Tensor, draw: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Returns keys of length 1 ``(m c)`` and their classes ``(m)``."""

    def _groups(self, labels: Tensor) -> Tensor:
        """Returns a number for each image and class ``(n h w)``."""
        image = torch.arange(len(labels), device=labels.device)
        return image[:, None, None] * self.num_classes + labels


@MODELS.register_module()
class CIRKDPixelMemoryLoss(_ClassMemoryLoss):
    """Divergence of each pixel's relations to remembered pixels, a mean.

    A mean of :func:`contrast_divergence` over the pixels of the batch that have a
    label, with keys drawn from the memory of every class, the same for both sides. New
    keys are up to `new_keys` random pixels of each class of each image, as the teacher
    sees them. While the memory is empty, the loss is 0, connected to the student.

    The student's feature needs the teacher's channels: give it a `CIRKDProjection`.

    The memory is a part of checkpoints, so that a resumed run goes on as if it had not
    stopped: ``num_classes * size * channels`` numbers of 4 bytes, 778 MB for 19
    classes and 512 channels. `storage` halves that; `saved` leaves it out. On several
    processes all of them remember the keys of all; each one's mean is over its own
    pixels. The authors begin with random vectors and draw from them; here
    only what has been put in is drawn. Past the end of a ring they fill its last slots
    and begin anew; here the oldest are replaced.

    Args:
        num_classes: Number of classes.
        channels: Channels of the teacher's feature.
        size: Pixels that are remembered for each class. None is as published, 20000;
            for SegFormer the authors take 2000.
        samples: Pixels of each class that are drawn in a step. None is as published,
            ``4096 // num_classes + 1``.
        new_keys: Pixels that are remembered of each class of an image.
        tau: Temperature, > 0.
        ignore_index: Label of the pixels that are left out; below 0 they are, too.
        enqueue_first: Put in the new keys before drawing, as published, so that a pixel
            may meet itself. False draws from earlier steps alone.
        published_enqueue: Repeat a mistake of the authors' code: the number of a pixel
            among those of its class is taken for its place in the whole map, so keys
            are mostly from the top of the image and of another class.
        max_memory: Memory in MB for the relations; values do not depend on it.
        seed: Random choices depend on it and the step alone; equal on all processes.
        storage: Type of the remembered numbers: ``'float32'``, or half as many bytes
            with ``'float16'``, which moves cosines by up to 0.0005, or ``'bfloat16'``,
            by up to 0.004.
        saved: Whether checkpoints hold the memory. If not, a resumed run begins with an
            empty one.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> from types import SimpleNamespace
        >>> truth = torch.tensor([[[0, 1]]])
        >>> samples = [SimpleNamespace(gt_sem_seg=SimpleNamespace(data=truth))]
        >>> loss = CIRKDPixelMemoryLoss(2, channels=2, size=8, tau=1.0)
        >>> teacher = torch.eye(2).reshape(1, 2, 1, 2)
        >>> loss(torch.ones(1, 2, 1, 2), teacher, data_samples=samples)
        tensor(0.1109)
        >>> loss.memory.filled
        tensor([1, 1])
    """

    published_size: ClassVar[int] = 20000
    published_samples: ClassVar[int] = 4096

    def __init__(
        self,
        num_classes: int,
        channels: int,
        *,
        new_keys: int = 16,
        published_enqueue: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(num_classes, channels, **settings)
        check_integer('new_keys', new_keys, ge=1)
        self.new_keys = new_keys
        self.published_enqueue = published_enqueue

    def _new_keys(
        self, teacher: Tensor, labels: Tensor, kept: Tensor, draw: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        at = kept.flatten().nonzero()[:, 0]
        groups = self._groups(labels).flatten()[at]
        classes = labels.flatten()[at]
        if self.published_enqueue:
            pixels = labels[0].numel()
            at = at // pixels * pixels + ranks(groups)
        mixed = torch.randperm(len(at), generator=draw).to(at.device)
        chosen = mixed[ranks(groups[mixed]) < self.new_keys]
        # image after image, so that several processes remember as one would
        chosen = chosen[groups[chosen].argsort(stable=True)]
        return F.normalize(teacher.flatten(0, 2)[at[chosen]]), classes[chosen]


@MODELS.register_module()
class CIRKDRegionMemoryLoss(_ClassMemoryLoss):
    """Divergence of each pixel's relations to remembered regions, a mean.

    As `CIRKDPixelMemoryLoss`, but a new key is the mean of all pixels of a class in an
    image, each of length 1, brought to length 1.

    Args:
        num_classes: Number of classes.
        channels: Channels of the teacher's feature.
        size: Regions that are remembered for each class. None is as published, 2000.
        samples: Regions of each class that are drawn in a step. None is as published,
            ``1024 // num_classes + 1``.
        settings: `tau`, `ignore_index`, `enqueue_first`, `max_memory`, `seed`,
            `storage` and `saved` as of `CIRKDPixelMemoryLoss`, and the policy of
            :class:`~mmkd_ext.methods.PairLoss`.
    """

    published_size: ClassVar[int] = 2000
    published_samples: ClassVar[int] = 1024

    def _new_keys(
        self, teacher: Tensor, labels: Tensor, kept: Tensor, draw: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        del draw
        groups = self._groups(labels)[kept]
        sums = teacher.new_zeros(len(labels) * self.num_classes, self.channels)
        sums.index_add_(0, groups, F.normalize(teacher[kept]))
        present = torch.unique(groups)
        # a sum and a mean have the same direction
        return F.normalize(sums[present]), present % self.num_classes


@MODELS.register_module()
class CIRKDChannelMemoryLoss(_MemoryLoss):
    """Divergence of each channel's relations to remembered channels, a mean.

    As `CIRKDPixelMemoryLoss`, with one memory of channels, each a vector over the
    positions of a map of fixed size. Second version, which pools before it projects,
    see `CIRKDChannelLoss`; its size is that of the pooled map of a training crop. Here
    a map of another size is averaged to it.

    Args:
        map_size: Height and width to which features are averaged.
        size: Channels that are remembered.
        samples: Channels that are drawn in a step.
        new_keys: Random channels that are remembered in a step, of all processes
            together.
        settings: `tau`, `enqueue_first`, `max_memory`, `seed`, `storage`, `saved` as of
            `CIRKDPixelMemoryLoss`, and the policy of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> loss = CIRKDChannelMemoryLoss((1, 2), size=8, tau=1.0)
        >>> teacher = torch.eye(2).reshape(1, 2, 1, 2)
        >>> loss(torch.ones(1, 2, 1, 2), teacher)
        tensor(0.1109)
    """

    def __init__(
        self,
        map_size: Sequence[int],
        *,
        size: int = 10000,
        samples: int = 2048,
        new_keys: int = 256,
        **settings: Any,
    ) -> None:
        if len(map_size) != 2:
            raise ConfigError(f'`map_size` must be (height, width), but is {map_size}.')
        height, width = map_size
        for side in (height, width):
            check_integer('map_size', side, ge=1)
        super().__init__(samples=samples, **settings)
        self._make_memory(1, size, height * width)
        check_integer('new_keys', new_keys, ge=1)
        self.map_size = (height, width)
        self.new_keys = new_keys

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where channels differ in number."""
        _check_channels(self, student, teacher)

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]]
    ) -> list[Tensor]:
        """Returns the items of the one level."""
        return [self.compute(*self._one_level(levels))]

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence of each channel ``(n c)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
        shape = student.shape[:2]
        student, teacher = (
            F.adaptive_avg_pool2d(x, self.map_size).flatten(2).flatten(0, 1)
            for x in (student, teacher)
        )
        _, common = self.memory.generators()
        new = self._new_keys(teacher.detach(), common) if self.training else None
        keys = self._remember(new, common)
        return self._contrast(student, teacher, keys).reshape(shape)

    def _new_keys(self, rows: Tensor, common: torch.Generator) -> tuple[Tensor, Tensor]:
        """Chooses among the channels ``(m d)`` of all processes, as all of them do."""
        ring = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        rows, ring = gathered(rows, ring)
        chosen = torch.randperm(len(rows), generator=common)[: self.new_keys]
        chosen = chosen.to(rows.device)
        return F.normalize(rows[chosen]), ring[chosen]


def _check_channels(loss: PairLoss, student: Tensor, teacher: Tensor) -> None:
    if student.dim() == teacher.dim() == 4 and student.shape[1] != teacher.shape[1]:
        raise ShapeError(
            f'student {tuple(student.shape)} and teacher {tuple(teacher.shape)} differ '
            f'in channels, but `{type(loss).__name__}` compares both with the same '
            "keys; give preds_S connector=dict(type='mmkd_ext.CIRKDProjection', "
            f'in_channels={student.shape[1]}, out_channels={teacher.shape[1]}).'
        )
