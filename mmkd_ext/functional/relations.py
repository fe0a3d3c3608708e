"""Divergences between the relations that pixels or channels have across images.

A row of cosines between one feature and many others becomes a distribution, and the
student's follows the teacher's. Unlike distances of cosines (see
:mod:`~mmkd_ext.functional.affinity`) a softmax needs every cosine of its row, so there
is no cheaper form; but rows are independent, so only some of them are ever held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch.autograd.function import once_differentiable

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.functional._direction import directed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = [
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
    r"""Returns how far each pixel's relations to the pixels of all images diverge.

    .. math::
        D_{ia} = \frac{1}{N} \sum_j \sum_b p^T_{iajb}
                 \log \frac{p^T_{iajb}}{p^S_{iajb}}, \quad
        p_{iajb} = \operatorname{softmax}_b \left(
            \frac{\cos(x_{ia}, x_{jb})}{\tau} \right)

    The mini-batch pixel-to-pixel term of `Cross-Image Relational Knowledge
    Distillation, CVPR 2022 <https://arxiv.org/abs/2204.06986>`_, for pixels ``a`` of
    image ``i`` and ``b`` of image ``j``, with all ``N**2`` ordered pairs of images,
    each with itself too. There is no factor ``tau**2``.

    The ``h w x h w`` matrix of a pair is made a few rows at a time, also for the
    gradient. That is found along with the value where the items are weighted alike, as
    a sum or a mean does, and otherwise in a second pass.

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
        >>> import torch
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
    r"""Returns how far each channel's relations to the channels of all images diverge.

    As `pixel_relation_divergence`, with channels in the place of pixels: each one is a
    vector over the positions. The channel relations of the second version of
    `Cross-Image Relational Knowledge Distillation
    <https://arxiv.org/abs/2204.06986>`_.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n c i j)``; its size may differ.
        tau: Temperature, > 0.
        max_memory: As for `pixel_relation_divergence`.

    Returns:
        Divergence of each channel in nats, never negative but for rounding, ``(n c)``.

    Raises:
        ShapeError: Batch or channels differ between ``student`` and ``teacher``.
        ConfigError: ``tau`` or ``max_memory`` is not above 0.

    Examples:
        >>> import torch
        >>> x = torch.eye(2).reshape(1, 2, 1, 2)
        >>> channel_relation_divergence(x, torch.ones(1, 2, 3, 3), tau=1.0)
        tensor([[0.1201, 0.1201]])
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
    r"""Returns how far the relations of features to the same keys diverge.

    .. math::
        D_i = \sum_k p^T_{ik} \log \frac{p^T_{ik}}{p^S_{ik}}, \quad
        p_{ik} = \operatorname{softmax}_k \left(
            \frac{\langle x_i, v_k \rangle}{\tau \lVert x_i \rVert} \right)

    The memory-based terms of `Cross-Image Relational Knowledge Distillation, CVPR 2022
    <https://arxiv.org/abs/2204.06986>`_. Rows are computed a few at a time, as in
    `pixel_relation_divergence`. Without keys there is nothing to compare: 0.

    Args:
        student: Features ``(m c)``.
        teacher: Features ``(m c)``.
        keys: What both are compared with, ``(k c)``, taken as it is and for constant.
        tau: Temperature, > 0.
        max_memory: As for `pixel_relation_divergence`.

    Returns:
        Divergence of each feature in nats, never negative but for rounding, ``(m)``.

    Raises:
        ShapeError: An axis differs.
        ConfigError: ``tau`` or ``max_memory`` is not above 0.

    Examples:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0]])
        >>> contrast_divergence(x, torch.ones(1, 2), torch.eye(2), tau=1.0)
        tensor([0.1201])
    """
    sizes = check_shapes(
        student=(student, 'm c'), teacher=(teacher, 'm c'), keys=(keys, 'k c')
    )
    _check(tau, max_memory)
    student, teacher = _alike(student, teacher)
    if sizes['k'] == 0:
        # nothing to compare with, but still a part of the graph
        return 0 * (student + teacher).sum(1)
    groups = keys.detach().to(student.dtype)[None]
    return _divergence(_unit(student), groups, _unit(teacher), groups, tau, max_memory)


def _relations(
    student: Tensor, teacher: Tensor, tau: float, max_memory: float
) -> Tensor:
    """Compares features ``(n m c)`` and ``(n m d)``, each with those of all images."""
    _check(tau, max_memory)
    s, t = (_unit(x).contiguous() for x in _alike(student, teacher))
    return _divergence(s.flatten(0, 1), s, t.flatten(0, 1), t, tau, max_memory)


def _check(tau: float, max_memory: float) -> None:
    check_range('tau', tau, above=0)
    check_range('max_memory', max_memory, above=0)


def _alike(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(student.dtype, teacher.dtype)
    return student.to(dtype), teacher.to(dtype)


def _unit(x: Tensor) -> Tensor:
    return directed(x, x.norm(dim=-1, keepdim=True))


class _Sides(NamedTuple):
    """Rows ``(m c)`` and groups of keys ``(g k c)`` of the student and the teacher.

    Also what belongs to each of them: gradients, and whether they are wanted.
    """

    rows_s: Any
    keys_s: Any
    rows_t: Any
    keys_t: Any


def _divergence(
    rows_s: Tensor,
    keys_s: Tensor,
    rows_t: Tensor,
    keys_t: Tensor,
    tau: float,
    max_memory: float,
) -> Tensor:
    """Returns the divergence of each row ``(m)``, a mean over the groups of keys."""
    return cast(
        'Tensor',
        _Divergence.apply(  # type: ignore[no-untyped-call]
            rows_s, keys_s, rows_t, keys_t, tau, max_memory
        ),
    )


def _chunks(rows: int, keys: int, itemsize: int, max_memory: float) -> Iterator[slice]:
    size = max(1, int(max_memory * 2**20 / (_HELD * max(keys, 1) * itemsize)))
    for start in range(0, rows, size):
        yield slice(start, start + size)


def _walk(
    sides: _Sides,
    wanted: _Sides,
    tau: float,
    max_memory: float,
    weight: Tensor | None = None,
) -> tuple[Tensor, _Sides]:
    """Goes through all rows, a chunk at a time.

    Args:
        sides: Rows and keys.
        wanted: Whose gradients are wanted.
        tau: Temperature.
        max_memory: Memory of a chunk in MB.
        weight: Weight of each row in the gradients of keys ``(m)``, None for 1.

    Returns:
        Divergences ``(m)``; gradients of each row by its own divergence, and of the
        keys by the weighted sum of all divergences, None where not wanted.
    """
    values = sides.rows_s.new_zeros(sides.rows_s.shape[0])
    slopes = _Sides(
        *(torch.zeros_like(x) if w else None for x, w in zip(sides, wanted))
    )
    count, keys = sides.keys_s.shape[:2]
    for at in _chunks(len(values), keys, values.element_size(), max_memory):
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
    """Compares a chunk of rows with a group of keys, and adds up what pulls on them."""
    keys_s, keys_t = sides.keys_s[group], sides.keys_t[group]
    s, t = sides.rows_s[at] / tau, sides.rows_t[at] / tau
    log_q = (s @ keys_s.t()).log_softmax(1)
    log_p = (t @ keys_t.t()).log_softmax(1)
    p = log_p.exp()
    terms = log_p.sub_(log_q).mul_(p)
    found: Tensor = terms.sum(1)
    if any(slope is not None for slope in slopes[:2]):
        _pull(log_q.exp_().sub_(p), keys_s, s, slopes[:2], at, group, weight)
    if any(slope is not None for slope in slopes[2:]):
        # of the teacher's logits; terms are not needed any more
        pull = terms.addcmul_(p, found[:, None], value=-1)
        _pull(pull, keys_t, t, slopes[2:], at, group, weight)
    return found


def _pull(
    pull: Tensor,
    keys: Tensor,
    rows: Tensor,
    slopes: Sequence[Tensor | None],
    at: slice,
    group: int,
    weight: Tensor | None,
) -> None:
    """Adds what the gradient of a chunk of logits means for its rows and keys."""
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
                wanted = _Sides(
                    False, of_keys[0] is not None, False, of_keys[1] is not None
                )
                tau, max_memory = ctx.settings
                _, again = _walk(sides, wanted, tau, max_memory, grad)
                of_keys = (again.keys_s, again.keys_t)
            else:
                # one number for all rows, as a sum spreads it; read without waiting
                # for it
                of_keys = [x if x is None else x * grad[:1].sum() for x in of_keys]
        weight = grad[:, None]
        of_rows = (
            x if x is None else x * weight for x in (slopes.rows_s, slopes.rows_t)
        )
        slope_s, slope_t = of_rows
        return slope_s, of_keys[0], slope_t, of_keys[1], None, None
