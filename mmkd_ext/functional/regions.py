"""Which anchors of a dense detector matter, told by boxes or by both models.

Anchors and boxes are ``(x0, y0, x1, y1)`` in pixels. The anchors of one image come as a
list with one tensor a level where levels matter, else as one tensor. What is returned
has one value for each anchor, 0 or False outside of the region; no gradient flows.
Nothing loops over anchors or boxes, and an image without boxes has empty regions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mmkd_ext.errors import ShapeError, check_integer, check_range, check_shapes
from mmkd_ext.functional.boxes import box_iof, box_iou

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = [
    'adaptive_thresholds',
    'box_diou',
    'distribution_boxes',
    'fine_grained_region',
    'first_kept',
    'general_instances',
    'inside_region',
    'valuable_region',
]


def box_diou(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    r"""Returns the distance-IoU of each pair of boxes.

    .. math::
        \mathrm{DIoU}_{ab} = \mathrm{IoU}_{ab} - \frac{\rho^2_{ab}}{c^2_{ab}}

    with the distance :math:`\rho` of the centres and the diagonal :math:`c` of the
    smallest box around both; `Distance-IoU Loss, AAAI 2020
    <https://arxiv.org/abs/1911.08287>`_.

    Args:
        boxes_a: Boxes ``(a 4)``.
        boxes_b: Boxes ``(b 4)``.

    Returns:
        Values ``(a b)``, above -1 and at most 1.

    Raises:
        ShapeError: Boxes are not ``(a 4)`` and ``(b 4)``.

    Examples:
        >>> import torch
        >>> box_diou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]),
        ...          torch.tensor([[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0]]))
        tensor([[ 1.0000, -0.2000]])
    """
    return box_iou(boxes_a, boxes_b) - _relative_distance(boxes_a, boxes_b)


@torch.no_grad()
def adaptive_thresholds(
    anchors: Sequence[Tensor], boxes: Tensor, *, nearest: int = 9
) -> Tensor:
    r"""Returns the IoU from which an anchor is positive for each box.

    .. math:: t_b = \operatorname{mean}_{a \in C_b} \mathrm{IoU}_{ab}
        + \operatorname{std}_{a \in C_b} \mathrm{IoU}_{ab}

    The candidates :math:`C_b` are the anchors of each level whose centres are nearest
    to the box's, `Bridging the Gap Between Anchor-based and Anchor-free Detection,
    CVPR 2020 <https://arxiv.org/abs/1912.02424>`_. The deviation is the unbiased one,
    as in mmdet's ``ATSSAssigner``; it is 0 where there is a single candidate.

    Args:
        anchors: Anchors of each level ``(a 4)``.
        boxes: Boxes of the image ``(b 4)``.
        nearest: Candidates of each level, >= 1; all of a level that has fewer.

    Returns:
        Threshold of each box ``(b)``; 0 where there are no anchors.

    Raises:
        ShapeError: Anchors or boxes are not ``(... 4)``, or there are no levels.
        ConfigError: ``nearest`` is below 1.

    Examples:
        >>> import torch
        >>> anchors = [torch.tensor([[0.0, 0.0, 4.0, 4.0], [4.0, 0.0, 8.0, 4.0]])]
        >>> adaptive_thresholds(anchors, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))
        tensor([1.2071])
    """
    together = _joined(anchors)
    return _thresholds(box_iou(together, boxes), anchors, boxes, nearest)


@torch.no_grad()
def valuable_region(
    anchors: Sequence[Tensor],
    boxes: Tensor,
    *,
    nearest: int = 9,
    low: float = 0.25,
    published_diou: bool = False,
) -> Tensor:
    r"""Returns the weight of each anchor near a box but not quite on it.

    .. math::
        v_a = \max_{b : \; \lambda t_b \le \mathrm{DIoU}_{ab} < t_b} \mathrm{IoU}_{ab}

    The valuable localization region of `Localization Distillation for Dense Detection,
    CVPR 2022 <https://arxiv.org/abs/2102.12252>`_, with the thresholds :math:`t_b` of
    `adaptive_thresholds`. As in the authors' code all anchors take part, and a
    positive one does too: its IoU is at least :math:`t_b`, its DIoU may be below.

    Args:
        anchors: Anchors of each level ``(a 4)``.
        boxes: Boxes of the image ``(b 4)``.
        nearest: Candidates of each level for the thresholds.
        low: The region begins at this share of the threshold, :math:`\lambda`, between
            0 and 1.
        published_diou: Repeat what the authors' code calls DIoU, the share of the
            anchor that lies in the box less the distance of the centres:
            :math:`|a \cap b| / |a| - \rho^2_{ab} / c^2_{ab}`. It is the same where
            the box lies in the anchor. Of the anchors that are small beside the box,
            those well inside leave the region and those at its border enter it.

    Returns:
        Weights of the anchors of all levels ``(a)``, between 0 and 1.

    Raises:
        ShapeError: Anchors or boxes are not ``(... 4)``, or there are no levels.
        ConfigError: An argument is out of its range.

    Examples:
        >>> import torch
        >>> anchors = [torch.tensor([[0.0, 0.0, 4.0, 4.0], [1.0, 0.0, 5.0, 4.0],
        ...                          [9.0, 9.0, 13.0, 13.0],
        ...                          [8.0, 0.0, 12.0, 4.0]])]
        >>> valuable_region(anchors, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))
        tensor([0.0000, 0.6000, 0.0000, 0.0000])
    """
    check_range('low', low, low=0, high=1)
    together = _joined(anchors)
    iou = box_iou(together, boxes)
    thresholds = _thresholds(iou, anchors, boxes, nearest)
    if not iou.numel():
        return iou.new_zeros(len(together))
    overlap = box_iof(together, boxes) if published_diou else iou
    diou = overlap - _relative_distance(together, boxes)
    inside = (diou >= low * thresholds) & (diou < thresholds)
    return (iou * inside).amax(1)


@torch.no_grad()
def fine_grained_region(
    anchors: Tensor, boxes: Tensor, *, share: float = 0.5
) -> Tensor:
    r"""Returns the anchors that overlap a box nearly as much as its best one does.

    .. math::
        m_a = \bigvee_b \big[ \mathrm{IoU}_{ab} > \psi \max_{a'} \mathrm{IoU}_{a'b}
        \big]

    `Distilling Object Detectors with Fine-grained Feature Imitation, CVPR 2019
    <https://arxiv.org/abs/1906.03609>`_.

    Args:
        anchors: Anchors of all levels ``(a 4)``.
        boxes: Boxes of the image ``(b 4)``.
        share: Share of the best overlap, :math:`\psi`, at least 0 and at most 1.

    Returns:
        Whether each anchor is in the region ``(a)``.

    Raises:
        ShapeError: Anchors or boxes are not ``(... 4)``.
        ConfigError: ``share`` is out of its range.

    Examples:
        >>> import torch
        >>> anchors = torch.tensor([[0.0, 0.0, 4.0, 4.0], [1.0, 0.0, 5.0, 4.0],
        ...                         [3.0, 0.0, 7.0, 4.0]])
        >>> fine_grained_region(anchors, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))
        tensor([ True,  True, False])
    """
    check_range('share', share, low=0, high=1)
    iou = box_iou(anchors, boxes)
    if not iou.numel():
        return iou.new_zeros(len(anchors), dtype=torch.bool)
    return (iou > share * iou.amax(0)).any(1)


@torch.no_grad()
def inside_region(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Returns the anchors whose centre lies inside a box.

    Args:
        anchors: Anchors ``(a 4)``.
        boxes: Boxes of the image ``(b 4)``; the border does not belong to a box.

    Returns:
        Whether each anchor is in the region ``(a)``.

    Raises:
        ShapeError: Anchors or boxes are not ``(... 4)``.

    Examples:
        >>> import torch
        >>> anchors = torch.tensor([[0.0, 0.0, 4.0, 4.0], [4.0, 0.0, 8.0, 4.0]])
        >>> inside_region(anchors, torch.tensor([[1.0, 1.0, 3.0, 3.0]]))
        tensor([ True, False])
    """
    check_shapes(anchors=(anchors, 'a 4'), boxes=(boxes, 'b 4'))
    center = _centers(anchors).unsqueeze(1)
    inside = (center > boxes[:, :2]) & (center < boxes[:, 2:])
    return inside.all(-1).any(1)


def distribution_boxes(logits: Tensor, centers: Tensor, stride: float) -> Tensor:
    r"""Returns the boxes that the distributions of a GFL-type head mean.

    .. math::
        d = s \sum_i i \, \operatorname{softmax}(z)_i, \quad
        (x_0, y_0, x_1, y_1) = (x - d_0, y - d_1, x + d_2, y + d_3)

    `Generalized Focal Loss, NeurIPS 2020 <https://arxiv.org/abs/2006.04388>`_.

    Args:
        logits: Logits of the bins of each side, one side after the other
            ``(n b h w)``.
        centers: Centre ``(x, y)`` of each position, row by row ``(a 2)``.
        stride: Pixels that one bin stands for.

    Returns:
        Boxes ``(n a 4)``.

    Raises:
        ShapeError: The channels are not four times the bins, or centres and positions
            differ in number.

    Examples:
        >>> import torch
        >>> logits = torch.zeros(1, 12, 1, 1)
        >>> distribution_boxes(logits, torch.tensor([[20.0, 20.0]]), stride=8)
        tensor([[[12., 12., 28., 28.]]])
    """
    sizes = check_shapes(logits=(logits, 'n b h w'), centers=(centers, 'a 2'))
    if sizes['b'] % 4 or sizes['h'] * sizes['w'] != sizes['a']:
        raise ShapeError(
            f'`logits` {tuple(logits.shape)} must have four times as many channels as '
            f'a side has bins, and as many positions as there are centers, '
            f'{sizes["a"]}.'
        )
    sides = logits.reshape(sizes['n'], 4, -1, sizes['a']).softmax(2)
    bins = torch.arange(sides.shape[2], dtype=sides.dtype, device=sides.device)
    distance = stride * torch.einsum('nsba,b->nas', sides, bins)
    return torch.cat([centers - distance[..., :2], centers + distance[..., 2:]], dim=-1)


@torch.no_grad()
def first_kept(
    boxes: Tensor, scores: Tensor, *, overlap: float = 0.3, count: int = 10
) -> Tensor:
    """Returns the boxes that greedy non-maximum suppression keeps first.

    The best box is kept and those that overlap it are dropped, again and again. Since
    only ``count`` are wanted, that is ``count`` passes over the boxes of all images
    together: exact, without the sorting and the matrix of all overlaps that a complete
    suppression needs.

    Args:
        boxes: Boxes of each image ``(n a 4)``.
        scores: Their scores ``(n a)``; one that is not above minus infinity is never
            kept.
        overlap: Boxes with a higher IoU than this with a kept one are dropped.
        count: How many are kept in each image at most, >= 1.

    Returns:
        Whether each box is kept ``(n a)``.

    Raises:
        ShapeError: The shapes do not fit.
        ConfigError: An argument is out of its range.

    Examples:
        >>> import torch
        >>> boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0],
        ...                        [8.0, 8.0, 9.0, 9.0]]])
        >>> first_kept(boxes, torch.tensor([[0.5, 0.9, 0.1]]))
        tensor([[False,  True,  True]])
    """
    sizes = check_shapes(boxes=(boxes, 'n a 4'), scores=(scores, 'n a'))
    check_range('overlap', overlap, low=0, high=1)
    check_integer('count', count, low=1)
    kept = torch.zeros_like(scores, dtype=torch.bool)
    nothing = float('-inf')
    areas = _extent(boxes).prod(-1)
    for _ in range(min(count, sizes['a'])):
        value, best = scores.max(1, keepdim=True)
        # an image may have run out of boxes before the others
        kept.scatter_(1, best, (value > nothing) | kept.gather(1, best))
        corners = boxes.gather(1, best.unsqueeze(-1).expand(-1, -1, 4))
        shared = _extent(
            torch.cat(
                [
                    torch.maximum(boxes[..., :2], corners[..., :2]),
                    torch.minimum(boxes[..., 2:], corners[..., 2:]),
                ],
                dim=-1,
            )
        ).prod(-1)
        union = areas + areas.gather(1, best) - shared
        # as a product, so that boxes without area need no division by 0
        scores = scores.masked_fill(shared > overlap * union, nothing)
        scores = scores.scatter(1, best, nothing)
    return kept


@torch.no_grad()
def general_instances(
    student: tuple[Tensor, Tensor],
    teacher: tuple[Tensor, Tensor],
    *,
    overlap: float = 0.3,
    count: int = 10,
) -> Tensor:
    r"""Returns where student and teacher disagree most on the class.

    .. math::
        g_a = \max_k |\sigma(z^T_{ak}) - \sigma(z^S_{ak})|

    Each anchor takes the box of the model that is surer of the class where they differ
    most; the positions that `first_kept` keeps of these are the general instances of
    `General Instance Distillation for Object Detection, CVPR 2021
    <https://arxiv.org/abs/2103.02340>`_, as used for feature imitation in LD's code.

    Args:
        student: Class logits ``(n k a)`` and boxes ``(n a 4)``.
        teacher: The same of the teacher.
        overlap: See `first_kept`.
        count: How many are kept in each image at most.

    Returns:
        Whether each anchor is kept ``(n a)``.

    Raises:
        ShapeError: The shapes do not fit.
        ConfigError: An argument is out of its range.

    Examples:
        >>> import torch
        >>> boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [9.0, 9.0, 12.0, 12.0]]])
        >>> surer = torch.tensor([[[5.0, 0.0]]])
        >>> general_instances((torch.zeros(1, 1, 2), boxes), (surer, boxes), count=1)
        tensor([[ True, False]])
    """
    (logits_s, boxes_s), (logits_t, boxes_t) = student, teacher
    check_shapes(
        student_logits=(logits_s, 'n k a'),
        student_boxes=(boxes_s, 'n a 4'),
        teacher_logits=(logits_t, 'n k a'),
        teacher_boxes=(boxes_t, 'n a 4'),
    )
    lead = logits_t.sigmoid() - logits_s.sigmoid()
    scores, where = lead.abs().max(1)
    teacher_leads = lead.gather(1, where.unsqueeze(1)).squeeze(1) >= 0
    boxes = torch.where(teacher_leads.unsqueeze(-1), boxes_t, boxes_s)
    return first_kept(boxes, scores, overlap=overlap, count=count)


def _joined(anchors: Sequence[Tensor]) -> Tensor:
    if not len(anchors):
        raise ShapeError('`anchors` must have at least one level.')
    return torch.cat(list(anchors))


def _thresholds(
    iou: Tensor, anchors: Sequence[Tensor], boxes: Tensor, nearest: int
) -> Tensor:
    """Takes the statistics of the candidates from the overlaps ``(a b)``."""
    check_integer('nearest', nearest, low=1)
    if not iou.numel():
        return iou.new_zeros(len(boxes))
    candidates = []
    counts = [len(level) for level in anchors]
    for level, overlaps in zip(anchors, torch.split(iou, counts)):
        distance = _squared_distance(level, boxes)
        near = distance.topk(min(nearest, len(level)), dim=0, largest=False).indices
        candidates.append(overlaps.gather(0, near))
    overlaps = torch.cat(candidates)
    return overlaps.mean(0) + overlaps.std(0, correction=min(1, len(overlaps) - 1))


def _centers(boxes: Tensor) -> Tensor:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _relative_distance(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Returns the squared distance of the centres by that of the corners around."""
    a, b = boxes_a.unsqueeze(1), boxes_b.unsqueeze(0)
    around = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(
        a[..., :2], b[..., :2]
    )
    diagonal = around.square().sum(-1)
    # two boxes without extent at one place have no distance either
    diagonal = torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal))
    return _squared_distance(boxes_a, boxes_b) / diagonal


def _squared_distance(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    offset = _centers(boxes_a).unsqueeze(1) - _centers(boxes_b).unsqueeze(0)
    return offset.square().sum(-1)


def _extent(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
