r"""LD: Localization Distillation for Dense Object Detection.

Zheng, Ye, Wang, Ren, Zuo, Hou, Cheng, CVPR 2022, `arXiv 2102.12252
<https://arxiv.org/abs/2102.12252>`_. A logit method for boxes: a GFL-type head predicts
a distribution over ``reg_max + 1`` bins for each side of a box, and the student's
follows the teacher's, as classes do in ordinary distillation.

Recipe (GFL, R101 teaches R18, R34 or R50, 1x), a link a row:

=======================  ====================================  ===================
term                     loss                                  region
=======================  ====================================  ===================
main LD                  `LDLoss`, weight 0.25, ``tau=10``     `LDMainRegion`
VLR LD                   the same with ``avg_factor=16``       `LDValuableRegion`
classes                  `LDClassLoss`, weight 10, ``tau=2``   `LDMainRegion`
classes on the VLR       weight 0 in the published code        `LDValuableRegion`
imitation, optional      `LDImitationLoss` on the neck,        `LDGIRegion`,
                         weight 2                              `LDFineGrainedRegion`,
                                                               `LDInsideRegion`,
                                                               `LDMainRegion`
=======================  ====================================  ===================

The main term alone is what mmdet's ``LDHead`` has; it lacks the others. In the authors'
code an image without boxes stops the training, ``decouple`` compares the student's
background with the teacher's foreground, ``fitnet`` means the inside of boxes, and
256 channels are fixed; here images without boxes have an empty region, and a region
is the same positions on both sides, of any number of channels.

Two more differences have a switch each, since published figures were made with them:
what the authors' code calls DIoU in the VLR (`published_diou` of `LDValuableRegion`),
and levels without a positive anchor, which it leaves out of the imitation (`positives`
of `LDImitationLoss`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.boxes import box_iou, intersections
from mmkd_ext.functional.divergence import class_divergence
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import Levels, PairLoss, at_least_float32, pair_levels
from mmkd_ext.methods._boxes import boxes_of
from mmkd_ext.registry import MODELS

__all__ = [
    'LDClassLoss',
    'LDFineGrainedRegion',
    'LDGIRegion',
    'LDImitationLoss',
    'LDInsideRegion',
    'LDLoss',
    'LDMainRegion',
    'LDValuableRegion',
    'adaptive_thresholds',
    'box_diou',
    'box_iof',
    'distribution_boxes',
    'fine_grained_region',
    'first_kept',
    'general_instances',
    'inside_region',
    'valuable_region',
]

# ---- losses -------------------------------------------------------------------------


class _RegionLoss(PairLoss):
    """Compares both sides at the positions of a region.

    `region` is for each level a map ``(n h w)``, above 0 inside of it; one tensor is
    for every level.
    """

    default_reduction: ClassVar[str] = 'sum'
    alignable: ClassVar[frozenset[str]] = frozenset()

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]], region: Levels
    ) -> list[Tensor]:
        """Returns the items of every level, each with its map of the region."""
        regions = _of_levels('region', region, len(levels))
        return [self.compute(s, t, region=r) for (s, t), r in zip(levels, regions)]


@MODELS.register_module()
class LDLoss(_RegionLoss):
    r"""KL divergence of the distributions of box sides, weighted by the region.

    .. math::
        L = \frac{1}{f} \sum_{n,y,x} r_{nyx} \sum_{s=1}^{4} \frac{\tau^2}{B}
        \sum_{i=1}^{B} p^T_{nsiyx} \log \frac{p^T_{nsiyx}}{p^S_{nsiyx}}, \quad
        p_{ns} = \operatorname{softmax}_i(z_{ns} / \tau)

    with :math:`B` bins. As published it is a mean over the bins, and a sum over anchors
    divided by the constant :math:`f`: more boxes in a batch, and more images on a GPU,
    make a larger loss. The authors advise at most 3 images a GPU. On `LDMainRegion` it
    equals ``loss_ld`` of mmdet's ``LDHead``. The region is a map ``(n h w)`` for each
    level; one tensor is for every level.

    Args:
        tau: Temperature, > 0.
        avg_factor: What the sum over anchors and sides is divided by, > 0: 4 in the
            main region, 16 in the VLR.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> logits = torch.zeros(1, 68, 2, 2)
        >>> LDLoss()(logits, logits, region=torch.ones(1, 2, 2))
        tensor(0.)
    """

    def __init__(
        self, tau: float = 10.0, *, avg_factor: float = 4.0, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        check_range('avg_factor', avg_factor, gt=0)
        self.tau = tau
        self.avg_factor = avg_factor

    def compute(self, student: Tensor, teacher: Tensor, region: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the weighted divergence of each position ``(n h w)``."""
        bins = self._bins(student, teacher)
        check_shapes(
            student=(student, 'n b h w'),
            teacher=(teacher, 'n b h w'),
            region=(region, 'n h w'),
        )
        inside = region > 0
        sides = [_rows(x, inside).reshape(-1, bins) for x in (student, teacher)]
        rows = class_divergence(sides[0], sides[1], tau=self.tau) / bins
        weights = region[inside].to(rows.dtype)
        return _spread(rows.reshape(-1, 4).sum(1) * weights / self.avg_factor, inside)

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where a side holds no distributions, or they differ in bins."""
        self._bins(student, teacher)

    @staticmethod
    def _bins(student: Tensor, teacher: Tensor) -> int:
        bins = []
        for name, side in (('student', student), ('teacher', teacher)):
            channels = side.shape[1] if side.dim() == 4 else 0
            if channels < 8 or channels % 4:
                raise ShapeError(
                    f'`{name}` {tuple(side.shape)} holds no box distributions: LD '
                    'needs the output of a GFL-type head (`GFLHead`), with '
                    '4 * (reg_max + 1) channels (n b h w).'
                )
            bins.append(channels // 4)
        if bins[0] != bins[1]:
            raise ShapeError(
                f'`student` {tuple(student.shape)} has {bins[0]} bins a side, '
                f'`teacher` {tuple(teacher.shape)} has {bins[1]}; both heads need '
                'the same `reg_max`.'
            )
        return bins[0]


@MODELS.register_module()
class LDClassLoss(_RegionLoss):
    r"""KL divergence of the classes inside a region, a mean over its positions.

    .. math::
        L = \frac{1}{|R|} \sum_{(n,y,x) \in R} \frac{\tau^2}{K}
        \sum_{k=1}^{K} p^T_{nkyx} \log \frac{p^T_{nkyx}}{p^S_{nkyx}}, \quad
        p = \operatorname{softmax}_k(z / \tau), \; R = \{r > 0\}

    As published: a softmax over logits that the head takes a sigmoid of, a mean over
    the :math:`K` classes and over the positions of each level on this GPU. Of a single
    class, whose softmax would be 1 on both sides, the sigmoids are compared.

    Args:
        tau: Temperature, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    def __init__(self, tau: float = 2.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        self.tau = tau

    def compute(self, student: Tensor, teacher: Tensor, region: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the share of each position in the mean ``(n h w)``."""
        self.check_pair(student, teacher)
        check_shapes(
            student=(student, 'n k h w'),
            teacher=(teacher, 'n k h w'),
            region=(region, 'n h w'),
        )
        inside = region > 0
        rows = class_divergence(
            _rows(student, inside), _rows(teacher, inside), tau=self.tau
        )
        return _spread(rows / student.shape[1] / max(1, len(rows)), inside)

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where the sides differ in classes."""
        if student.dim() == teacher.dim() == 4 and student.shape[1] != teacher.shape[1]:
            raise ShapeError(
                f'`student` {tuple(student.shape)} and `teacher` '
                f'{tuple(teacher.shape)} differ in classes; both models must predict '
                'the same.'
            )


@MODELS.register_module()
class LDImitationLoss(_RegionLoss):
    r"""Squared difference of features inside a region, a mean over its elements.

    .. math::
        L = \frac{1}{C |R|} \sum_{(n,y,x) \in R} \sum_{c=1}^{C}
        (F^S_{ncyx} - F^T_{ncyx})^2, \quad R = \{r > 0\}

    Of each level on its own; a level without such positions counts 0.

    In the authors' code a level on which no anchor of the batch is positive counts 0
    too, whatever the region, which hits the coarse levels most. It looks like a side
    effect, so it is not the default; with `positives`, the main region, it is repeated:

    .. code-block:: python

        positives=dict(of='student', at=dict(type='Module', source='bbox_head'),
                       connector=dict(type='mmkd_ext.LDMainRegion'), given=...)

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> student, teacher = torch.ones(1, 8, 1, 2), torch.zeros(1, 8, 1, 2)
        >>> LDImitationLoss()(student, teacher, region=torch.tensor([[[1.0, 0.0]]]))
        tensor(1.)
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels'})

    def compute_levels(  # type: ignore[override]
        self,
        levels: list[tuple[Tensor, Tensor]],
        region: Levels,
        positives: Levels | None = None,
    ) -> list[Tensor]:
        """Returns the items of every level; `positives` is in the form of `region`."""
        regions = _of_levels('region', region, len(levels))
        if positives is not None:
            some = _of_levels('positives', positives, len(levels))
            regions = [r * (p > 0).any() for r, p in zip(regions, some)]
        return super().compute_levels(levels, regions)

    def compute(self, student: Tensor, teacher: Tensor, region: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the share of each position in the mean ``(n h w)``."""
        check_shapes(
            student=(student, 'n c h w'),
            teacher=(teacher, 'n c h w'),
            region=(region, 'n h w'),
        )
        inside = region > 0
        rows = squared_error(_rows(student, inside), _rows(teacher, inside)).mean(1)
        return _spread(rows / max(1, len(rows)), inside)


def _of_levels(name: str, maps: Levels, levels: int) -> list[Tensor]:
    some = [maps] * levels if isinstance(maps, torch.Tensor) else list(maps)
    if len(some) != levels:
        raise ShapeError(
            f'`{name}` has {len(some)} levels, `preds_S` and `preds_T` have {levels}.'
        )
    return some


def _rows(maps: Tensor, inside: Tensor) -> Tensor:
    """Returns the channels at the chosen positions ``(r c)``."""
    return maps.movedim(1, -1)[inside]


def _spread(rows: Tensor, inside: Tensor) -> Tensor:
    """Puts values back to the chosen positions, 0 elsewhere ``(n h w)``."""
    return rows.new_zeros(inside.shape).masked_scatter(inside, rows)


# ---- regions: connectors on the student's head --------------------------------------
#
# region=dict(of='student', at=dict(type='Module', source='bbox_head'),
#             connector=dict(type='mmkd_ext.LDValuableRegion'),
#             given=dict(logits=dict(of='student', at='bbox_head', item=0),
#                        data_samples=dict(of='batch', at='data_samples')))
#
# Each returns one map ``(n h w)`` a level, 0 outside of the region. The head needs
# ``reg_max``, and a ``prior_generator`` with one anchor a position.


@MODELS.register_module()
class LDMainRegion(nn.Module):
    r"""The positive anchors, each weighted by the student's best class score.

    .. math:: r_{nyx} = [l_{nyx} < K] \max_k \sigma(z^S_{nkyx})

    The labels are those that the student's own assigner gave, as its classification
    loss sees them; so nothing is assigned twice. No gradient flows.
    """

    @torch.no_grad()
    def forward(
        self, head: nn.Module, *, logits: Levels, targets: Any
    ) -> tuple[Tensor, ...]:
        """Returns the region of each level.

        Args:
            head: The student's box head.
            logits: Its class logits, ``(n k h w)`` a level.
            targets: Second input of its ``loss_cls``, one call a level: labels
                ``(n*h*w)``, of which `k` and more and negative ones are no objects, or
                a tuple that begins with them.
        """
        _check_head(head)
        maps = _maps(logits)
        several = isinstance(targets, (list, tuple))
        if not several or len(targets) != len(maps):
            given = len(targets) if several else type(targets).__name__
            raise ShapeError(
                f'`targets` must be the labels of {len(maps)} levels, but is {given}; '
                "tap the inputs of `bbox_head.loss_cls` with call='all', item=1."
            )
        return tuple(_positives(*level) for level in zip(maps, targets))


def _positives(logits: Tensor, target: Any) -> Tensor:
    labels = target[0] if isinstance(target, (list, tuple)) else target
    n, k, h, w = logits.shape
    if not isinstance(labels, Tensor) or labels.numel() != n * h * w:
        shape = tuple(labels.shape) if isinstance(labels, Tensor) else labels
        raise ShapeError(
            f'`targets` must have a label for each of the {n}x{h}x{w} positions of '
            f'`logits`, but is {shape}.'
        )
    labels = labels.reshape(n, h, w)
    scores = at_least_float32(logits).sigmoid().amax(1)
    return torch.where((labels >= 0) & (labels < k), scores, torch.zeros_like(scores))


class _BoxRegion(nn.Module, ABC):
    """A region that follows from the anchors and the boxes of each image."""

    @abstractmethod
    def of_image(self, anchors: list[Tensor], boxes: Tensor) -> Tensor:
        """Returns a value for each anchor of all levels ``(a)``, 0 outside."""

    @torch.no_grad()
    def forward(
        self, head: nn.Module, *, logits: Levels, data_samples: Sequence[Any]
    ) -> tuple[Tensor, ...]:
        """Returns the region of each level; anchors in the padding are outside.

        Args:
            head: The student's box head.
            logits: Its class logits, ``(n k h w)`` a level; their sizes are used.
            data_samples: Samples of the batch.
        """
        _check_head(head)
        maps = _maps(logits)
        anchors = _anchors(head, maps)
        boxes = boxes_of(data_samples)
        if len(boxes) != len(maps[0]):
            raise ShapeError(
                f'there are {len(boxes)} samples, but `logits` are of {len(maps[0])} '
                'images; both must be of the same batch.'
            )
        images = []
        for sample, some in zip(data_samples, boxes):
            flags = _valid_flags(head, maps, sample)
            levels = [level[flag] for level, flag in zip(anchors, flags)]
            values = self.of_image(levels, some.to(levels[0]))
            valid = torch.cat(list(flags))
            image = values.new_zeros(valid.shape, dtype=torch.float32)
            image[valid] = values.float()
            images.append(image)
        sizes = [level.shape[2:] for level in maps]
        parts = torch.split(torch.stack(images), [h * w for h, w in sizes], dim=1)
        return tuple(part.reshape(-1, *size) for part, size in zip(parts, sizes))


@MODELS.register_module()
class LDValuableRegion(_BoxRegion):
    """The valuable localization region (VLR): anchors near a box but not quite on it.

    See :func:`valuable_region`; each anchor is weighted by its IoU.

    Args:
        nearest: Candidates of each level for the threshold of a box (`topk` of ATSS).
        low: The region begins at this share of the threshold.
        published_diou: Measure as the authors' code does, with which the published
            figures were made.
    """

    def __init__(
        self, nearest: int = 9, low: float = 0.25, *, published_diou: bool = False
    ) -> None:
        super().__init__()
        check_integer('nearest', nearest, ge=1)
        check_range('low', low, ge=0, le=1)
        self.nearest, self.low = nearest, low
        self.published_diou = published_diou

    def of_image(self, anchors: list[Tensor], boxes: Tensor) -> Tensor:
        """Returns the weight of each anchor."""
        return valuable_region(
            anchors,
            boxes,
            nearest=self.nearest,
            low=self.low,
            published_diou=self.published_diou,
        )


@MODELS.register_module()
class LDInsideRegion(_BoxRegion):
    """The anchors whose centre lies inside a box, on every level."""

    def of_image(self, anchors: list[Tensor], boxes: Tensor) -> Tensor:
        """Returns whether each anchor is in the region."""
        return inside_region(torch.cat(anchors), boxes)


@MODELS.register_module()
class LDFineGrainedRegion(_BoxRegion):
    """The anchors that overlap a box at least half as much as its best one.

    Args:
        share: This half, between 0 and 1.
    """

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        check_range('share', share, ge=0, le=1)
        self.share = share

    def of_image(self, anchors: list[Tensor], boxes: Tensor) -> Tensor:
        """Returns whether each anchor is in the region."""
        return fine_grained_region(torch.cat(anchors), boxes, share=self.share)


@MODELS.register_module()
class LDGIRegion(nn.Module):
    """The general instances (GI): where student and teacher disagree on the class.

    Chosen in each image and level on its own, since the imitation loss is a mean of
    each level, and boxes of different images must not suppress each other.

    Args:
        overlap: IoU above which non-maximum suppression drops a box.
        count: Positions of an image and level that are kept at most.
    """

    def __init__(self, overlap: float = 0.3, count: int = 10) -> None:
        super().__init__()
        check_range('overlap', overlap, ge=0, le=1)
        check_integer('count', count, ge=1)
        self.overlap = overlap
        self.count = count

    @torch.no_grad()
    def forward(
        self,
        head: nn.Module,
        *,
        logits_S: Levels,
        logits_T: Levels,
        bins_S: Levels,
        bins_T: Levels,
    ) -> tuple[Tensor, ...]:
        """Returns the region of each level, 1 inside.

        Args:
            head: The student's box head.
            logits_S: Class logits of the student, ``(n k h w)`` a level.
            logits_T: Those of the teacher.
            bins_S: Box distributions of the student, ``(n b h w)`` a level.
            bins_T: Those of the teacher.
        """
        _check_head(head)
        logits, bins = pair_levels(logits_S, logits_T), pair_levels(bins_S, bins_T)
        anchors = _anchors(head, [level for level, _ in logits])
        if len(bins) != len(logits):
            raise ShapeError(
                f'`bins_S` has {len(bins)} levels, `logits_S` {len(logits)}.'
            )
        generator: Any = head.prior_generator
        regions = []
        for scores, boxes, level, stride in zip(
            logits, bins, anchors, generator.strides
        ):
            centers = (level[:, :2] + level[:, 2:]) / 2
            sides = [
                (
                    at_least_float32(score).flatten(2),
                    distribution_boxes(at_least_float32(box), centers, stride[0]),
                )
                for score, box in zip(scores, boxes)
            ]
            kept = general_instances(*sides, overlap=self.overlap, count=self.count)
            regions.append(kept.reshape(-1, *scores[0].shape[2:]).float())
        return tuple(regions)


def _check_head(head: nn.Module) -> None:
    name = type(head).__name__
    if not hasattr(head, 'reg_max') or not hasattr(head, 'prior_generator'):
        raise ConfigError(
            f'`{name}` has no `reg_max`, so its boxes are no distributions, but LD '
            'needs a GFL-type head (`GFLHead`), which predicts reg_max + 1 logits for '
            'each side of a box. Use a feature method, or another pair.'
        )


def _maps(logits: Levels) -> list[Tensor]:
    """Returns the levels of a pyramid of maps, checked."""
    maps = [logits] if isinstance(logits, Tensor) else list(logits)
    if not maps:
        raise ShapeError('`logits` must have at least one level.')
    patterns = {f'logits[{i}]': (x, f'n k h{i} w{i}') for i, x in enumerate(maps)}
    check_shapes(**patterns)
    return maps


def _anchors(head: nn.Module, maps: Sequence[Tensor]) -> list[Tensor]:
    """Returns the anchors of each level ``(a 4)``, one a position, row by row."""
    generator: Any = head.prior_generator
    if generator.num_levels != len(maps):
        raise ShapeError(
            f'`{type(head).__name__}` has anchors for {generator.num_levels} levels, '
            f'but `logits` has {len(maps)}; tap all of them.'
        )
    sizes = [tuple(level.shape[2:]) for level in maps]
    anchors: list[Tensor] = generator.grid_priors(sizes, device=maps[0].device)
    for level, (h, w) in zip(anchors, sizes):
        if len(level) != h * w:
            raise ShapeError(
                f'`{type(head).__name__}` has {len(level) // (h * w)} anchors a '
                'position, but LD needs one.'
            )
    return anchors


def _valid_flags(
    head: nn.Module, maps: Sequence[Tensor], sample: Any
) -> Sequence[Tensor]:
    """Returns which anchors of each level do not lie in the padding of an image."""
    sizes = [tuple(level.shape[2:]) for level in maps]
    device = maps[0].device
    size = getattr(sample, 'metainfo', {}).get('pad_shape')
    if size is None:
        return [torch.ones(h * w, dtype=torch.bool, device=device) for h, w in sizes]
    generator: Any = head.prior_generator
    flags: list[Tensor] = generator.valid_flags(sizes, size, device=device)
    return flags


# ---- regions of one image -----------------------------------------------------------
#
# Anchors and boxes are (x0, y0, x1, y1) in pixels; the anchors are a list with one
# tensor a level where levels matter. No gradient flows; no boxes have empty regions.


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

    with the thresholds :math:`t_b` of `adaptive_thresholds`. As in the authors' code
    all anchors take part, and a positive one does too: its IoU is at least :math:`t_b`,
    its DIoU may be below.

    Args:
        anchors: Anchors of each level ``(a 4)``.
        boxes: Boxes of the image ``(b 4)``.
        nearest: Candidates of each level for the thresholds.
        low: The region begins at this share of the threshold, :math:`\lambda`, between
            0 and 1.
        published_diou: Repeat what the authors' code calls DIoU, with the anchor's area
            in the place of the union: :math:`|a \cap b| / |a| - \rho^2_{ab} /
            c^2_{ab}`. Of the anchors that are small beside the box, those well inside
            leave the region and those at its border enter it.

    Returns:
        Weights of the anchors of all levels ``(a)``, between 0 and 1.

    Raises:
        ShapeError: Anchors or boxes are not ``(... 4)``, or there are no levels.
        ConfigError: An argument is out of its range.

    Examples:
        >>> anchors = [torch.tensor([[0.0, 0.0, 4.0, 4.0], [1.0, 0.0, 5.0, 4.0],
        ...                          [9.0, 9.0, 13.0, 13.0],
        ...                          [8.0, 0.0, 12.0, 4.0]])]
        >>> valuable_region(anchors, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))
        tensor([0.0000, 0.6000, 0.0000, 0.0000])
    """
    check_range('low', low, ge=0, le=1)
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
def adaptive_thresholds(
    anchors: Sequence[Tensor], boxes: Tensor, *, nearest: int = 9
) -> Tensor:
    r"""Returns the IoU from which ATSS takes an anchor for positive, for each box.

    .. math:: t_b = \operatorname{mean}_{a \in C_b} \mathrm{IoU}_{ab}
        + \operatorname{std}_{a \in C_b} \mathrm{IoU}_{ab}

    The candidates :math:`C_b` are the `nearest` anchors of each level by the distance
    of centres, `ATSS, CVPR 2020 <https://arxiv.org/abs/1912.02424>`_. The deviation is
    the unbiased one, as in mmdet's ``ATSSAssigner``; of a single candidate it is 0.

    Args:
        anchors: Anchors of each level ``(a 4)``.
        boxes: Boxes of the image ``(b 4)``.
        nearest: Candidates of each level, >= 1; all of a level that has fewer.

    Returns:
        Threshold of each box ``(b)``; 0 where there are no anchors.
    """
    together = _joined(anchors)
    return _thresholds(box_iou(together, boxes), anchors, boxes, nearest)


def _joined(anchors: Sequence[Tensor]) -> Tensor:
    if not len(anchors):
        raise ShapeError('`anchors` must have at least one level.')
    return torch.cat(list(anchors))


def _thresholds(
    iou: Tensor, anchors: Sequence[Tensor], boxes: Tensor, nearest: int
) -> Tensor:
    """Takes the statistics of the candidates from the overlaps ``(a b)``."""
    check_integer('nearest', nearest, ge=1)
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


@torch.no_grad()
def fine_grained_region(
    anchors: Tensor, boxes: Tensor, *, share: float = 0.5
) -> Tensor:
    r"""Returns the anchors that overlap a box nearly as much as its best one does.

    .. math::
        m_a = \bigvee_b \big[ \mathrm{IoU}_{ab} > \psi \max_{a'} \mathrm{IoU}_{a'b}
        \big]

    for anchors ``(a 4)`` and boxes ``(b 4)``, with the share :math:`\psi` from 0 to 1;
    ``(a)``. As in `FGFI, CVPR 2019 <https://arxiv.org/abs/1906.03609>`_.
    """
    check_range('share', share, ge=0, le=1)
    iou = box_iou(anchors, boxes)
    if not iou.numel():
        return iou.new_zeros(len(anchors), dtype=torch.bool)
    return (iou > share * iou.amax(0)).any(1)


@torch.no_grad()
def inside_region(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Returns which anchors ``(a 4)`` have their centre inside a box ``(b 4)``."""
    check_shapes(anchors=(anchors, 'a 4'), boxes=(boxes, 'b 4'))
    center = _centers(anchors).unsqueeze(1)
    inside = (center > boxes[:, :2]) & (center < boxes[:, 2:])
    return inside.all(-1).any(1)


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
    most; `first_kept` chooses among these, as in `General Instance Distillation, CVPR
    2021 <https://arxiv.org/abs/2103.02340>`_ and LD's code.

    Args:
        student: Class logits ``(n k a)`` and boxes ``(n a 4)``.
        teacher: The same of the teacher.
        overlap: See `first_kept`.
        count: See `first_kept`.

    Returns:
        Whether each anchor is kept ``(n a)``.
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


@torch.no_grad()
def first_kept(
    boxes: Tensor, scores: Tensor, *, overlap: float = 0.3, count: int = 10
) -> Tensor:
    """Returns the boxes that greedy non-maximum suppression keeps first.

    Exact, by ``count`` passes over the boxes of all images together, without sorting or
    the matrix of all overlaps.

    Args:
        boxes: Boxes of each image ``(n a 4)``.
        scores: Their scores ``(n a)``; boxes with minus infinity are never kept.
        overlap: Boxes with a higher IoU than this with a kept one are dropped.
        count: How many are kept in each image at most, >= 1.

    Returns:
        Whether each box is kept ``(n a)``.

    Examples:
        >>> boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0],
        ...                        [8.0, 8.0, 9.0, 9.0]]])
        >>> first_kept(boxes, torch.tensor([[0.5, 0.9, 0.1]]))
        tensor([[False,  True,  True]])
    """
    sizes = check_shapes(boxes=(boxes, 'n a 4'), scores=(scores, 'n a'))
    check_range('overlap', overlap, ge=0, le=1)
    check_integer('count', count, ge=1)
    kept = torch.zeros_like(scores, dtype=torch.bool)
    areas = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
    for _ in range(min(count, sizes['a'])):
        value, best = scores.max(1, keepdim=True)
        # an image may have run out of boxes before the others
        kept.scatter_(1, best, (value > -torch.inf) | kept.gather(1, best))
        corners = boxes.gather(1, best.unsqueeze(-1).expand(-1, -1, 4))
        first = torch.maximum(boxes[..., :2], corners[..., :2])
        last = torch.minimum(boxes[..., 2:], corners[..., 2:])
        shared = (last - first).clamp(min=0).prod(-1)
        union = areas + areas.gather(1, best) - shared
        # as a product, so that boxes without area need no division by 0
        scores = scores.masked_fill(shared > overlap * union, -torch.inf)
        scores = scores.scatter(1, best, -torch.inf)
    return kept


def distribution_boxes(logits: Tensor, centers: Tensor, stride: float) -> Tensor:
    r"""Returns the boxes that a GFL-type head predicts.

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


def box_iof(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Returns the share ``(a b)`` of each first box that lies in each second one.

    Arguments and errors as of :func:`~mmkd_ext.functional.box_iou`; 0 where the first
    box has no area.

    Examples:
        >>> box_iof(torch.tensor([[0.0, 0.0, 2.0, 2.0]]),
        ...         torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 9.0, 9.0]]))
        tensor([[0.5000, 1.0000]])
    """
    shared, area_a, _ = intersections(boxes_a, boxes_b)
    return shared / torch.where(area_a > 0, area_a, torch.ones_like(area_a))


def box_diou(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    r"""Returns the distance-IoU ``(a b)`` of each pair of boxes.

    .. math::
        \mathrm{DIoU}_{ab} = \mathrm{IoU}_{ab} - \frac{\rho^2_{ab}}{c^2_{ab}}

    with the distance :math:`\rho` of the centres and the diagonal :math:`c` of the
    smallest box around both; `Distance-IoU Loss, AAAI 2020
    <https://arxiv.org/abs/1911.08287>`_. Arguments and errors as of
    :func:`~mmkd_ext.functional.box_iou`; above -1 and at most 1.
    """
    return box_iou(boxes_a, boxes_b) - _relative_distance(boxes_a, boxes_b)


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
