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

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mmkd_ext.errors import ShapeError, check_range, check_shapes
from mmkd_ext.functional.divergence import class_divergence
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._ld_regions import (
    LDFineGrainedRegion,
    LDGIRegion,
    LDInsideRegion,
    LDMainRegion,
    LDValuableRegion,
)
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

    from mmkd_ext.methods._base import Levels

__all__ = [
    'LDClassLoss',
    'LDFineGrainedRegion',
    'LDGIRegion',
    'LDImitationLoss',
    'LDInsideRegion',
    'LDLoss',
    'LDMainRegion',
    'LDValuableRegion',
]


class _RegionLoss(PairLoss):
    """Compares both sides at the positions of a region, a map of each level."""

    default_reduction: ClassVar[str] = 'sum'
    alignable: ClassVar[frozenset[str]] = frozenset()

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]], region: Levels
    ) -> list[Tensor]:
        """Returns the items of every level.

        Args:
            levels: Student's and teacher's side of each level ``(n c h w)``.
            region: For each level a map ``(n h w)``, above 0 inside the region; one
                tensor is for every level.

        Raises:
            ShapeError: Levels, sides and regions do not fit.
        """
        regions = _of_levels('region', region, len(levels))
        return [self.compute(s, t, region=r) for (s, t), r in zip(levels, regions)]


@MODELS.register_module()
class LDLoss(_RegionLoss):
    r"""KL divergence of the distributions of box sides, weighted by the region.

    .. math::
        L = \frac{1}{f} \sum_{n,y,x} r_{nyx} \sum_{s=1}^{4} \frac{\tau^2}{B}
        \sum_{i=1}^{B} p^T_{nsiyx} \log \frac{p^T_{nsiyx}}{p^S_{nsiyx}}, \quad
        p_{ns} = \operatorname{softmax}_i(z_{ns} / \tau)

    with :math:`B` bins, read from the width of the head. As published it is a mean over
    the bins, not the KL divergence, and a sum over anchors divided by the constant
    :math:`f`: more boxes in a batch, and more images on a GPU, make a larger loss. So
    no count is reduced over GPUs; the authors advise at most 3 images a GPU.

    On `LDMainRegion` it equals ``loss_ld`` of mmdet's ``LDHead``.

    Args:
        tau: Temperature, > 0.
        avg_factor: What the sum over anchors and sides is divided by, > 0: 4 in the
            main region, 16 in the VLR.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> logits = torch.zeros(1, 68, 2, 2)
        >>> LDLoss()(logits, logits, region=torch.ones(1, 2, 2))
        tensor(0.)
    """

    def __init__(
        self, tau: float = 10.0, *, avg_factor: float = 4.0, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('tau', tau, above=0)
        check_range('avg_factor', avg_factor, above=0)
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
        """Returns the bins of a side; says in the head's words what does not fit."""
        found = []
        for name, side in (('student', student), ('teacher', teacher)):
            channels = side.shape[1] if side.dim() == 4 else 0
            if channels < 8 or channels % 4:
                raise ShapeError(
                    f'`{name}` {tuple(side.shape)} holds no box distributions: LD '
                    'needs the output of a GFL-type head (`GFLHead`), with '
                    '4 * (reg_max + 1) channels (n b h w).'
                )
            found.append(channels // 4)
        if found[0] != found[1]:
            raise ShapeError(
                f'`student` {tuple(student.shape)} has {found[0]} bins a side, '
                f'`teacher` {tuple(teacher.shape)} has {found[1]}; both heads need '
                'the same `reg_max`.'
            )
        return found[0]


@MODELS.register_module()
class LDClassLoss(_RegionLoss):
    r"""KL divergence of the classes inside a region, a mean over its positions.

    .. math::
        L = \frac{1}{|R|} \sum_{(n,y,x) \in R} \frac{\tau^2}{K}
        \sum_{k=1}^{K} p^T_{nkyx} \log \frac{p^T_{nkyx}}{p^S_{nkyx}}, \quad
        p = \operatorname{softmax}_k(z / \tau), \; R = \{r > 0\}

    As published: a softmax over logits that the head takes a sigmoid of, a mean over
    the :math:`K` classes, and a mean over the positions of each level. Their number is
    that of this GPU, which DDP's mean of gradients makes a weight of each image. Of a
    single class, whose softmax would be 1 on both sides, the sigmoids are compared.

    Args:
        tau: Temperature, > 0.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> logits = torch.zeros(1, 80, 2, 2)
        >>> LDClassLoss()(logits, logits, region=torch.ones(1, 2, 2))
        tensor(0.)
    """

    def __init__(self, tau: float = 2.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, above=0)
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
    too, whatever the region: the term stands in the branch of the head that computes
    the losses of positives. That hits the coarse levels most, which seldom have one. It
    looks like a side effect, so it is not the default; with `positives`, the main
    region, it is repeated:

    .. code-block:: python

        positives=dict(of='student', at=dict(type='Module', source='bbox_head'),
                       connector=dict(type='mmkd_ext.LDMainRegion'), given=...)

    Args:
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
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
        """Returns the items of every level.

        Args:
            levels: Student's and teacher's side of each level ``(n c h w)``.
            region: For each level a map ``(n h w)``, above 0 inside the region; one
                tensor is for every level.
            positives: In the same form, above 0 at positive anchors; a level without
                any counts 0. All levels count where it is None.

        Raises:
            ShapeError: Levels, sides, regions and positives do not fit.
        """
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
    """Returns the map of each level; one tensor is for every level."""
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
