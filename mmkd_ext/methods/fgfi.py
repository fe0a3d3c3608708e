r"""FGFI: Distilling Object Detectors with Fine-grained Feature Imitation.

Wang, Yuan, Zhang, Feng, CVPR 2019, `arXiv 1906.03609
<https://arxiv.org/abs/1906.03609>`_. A feature method for detectors with anchors: only
places near objects are imitated, where some anchor overlaps an object at least half as
well as that object's best anchor does.

Recipe: the levels, each through a 3x3 convolution with ReLU (``mmkd_ext.ConvAdapter``)
whose weights start near zero (``init_std=1e-4``), threshold 0.5, weight 0.01. The first
400 iterations imitate nothing, ``schedule=dict(type='constant', begin=400)``; gradients
are clipped to a norm of 10, and the authors train with one image a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from mmkd_ext.errors import ConfigError, ShapeError, check_range, check_shapes
from mmkd_ext.functional.boxes import box_iou
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._boxes import boxes_of
from mmkd_ext.registry import MODELS

__all__ = ['FGFILoss', 'imitation_masks']

_PAIRS = 2**22
"""Pairs of anchor and box that are compared at once, so that crowds need little
memory."""


@torch.no_grad()
def imitation_masks(
    anchors: Sequence[Tensor],
    boxes: Sequence[Tensor],
    map_sizes: Sequence[tuple[int, int]],
    *,
    threshold: float = 0.5,
) -> list[Tensor]:
    r"""Returns where some anchor overlaps a box well enough, on every level.

    .. math::
        M_{nyx} = \Big[ \exists b, a : \mathrm{IoU}(a_{yx}, b) >
            \psi \max_{a'} \mathrm{IoU}(a', b) \Big]

    The best anchor of a box is that of all levels.

    Args:
        anchors: Anchors of each level ``(h*w*a 4)``, rows of cells first, as mmdet
            orders them.
        boxes: Boxes of each image ``(b 4)``.
        map_sizes: Height and width of each level.
        threshold: Share of the best overlap, 0 to below 1.

    Returns:
        For each level 1 at such places, 0 elsewhere ``(n h w)``.

    Raises:
        ShapeError: Anchors do not fit the levels.

    Examples:
        >>> anchors = torch.tensor([[0., 0., 4., 4.], [4., 0., 8., 4.]])
        >>> imitation_masks([anchors], [torch.tensor([[0., 0., 4., 3.]])], [(1, 2)])
        [tensor([[[1., 0.]]])]
    """
    check_range('threshold', threshold, ge=0)
    cells = [height * width for height, width in map_sizes]
    if len(anchors) != len(cells) or any(
        len(a) == 0 or len(a) % c for a, c in zip(anchors, cells)
    ):
        raise ShapeError(
            f'{[len(a) for a in anchors]} anchors a level do not belong to levels of '
            f'{list(map_sizes)}: each place must have the same number of anchors.'
        )
    everywhere = torch.cat(list(anchors))
    near = torch.stack([_near(everywhere, some, threshold) for some in boxes])
    parts = torch.split(near, [len(a) for a in anchors], 1)
    return [
        part.reshape(len(boxes), *size, -1).amax(-1)
        for part, size in zip(parts, map_sizes)
    ]


def _near(anchors: Tensor, boxes: Tensor, threshold: float) -> Tensor:
    """Marks the anchors that overlap some box well enough ``(a)``."""
    near = torch.zeros(len(anchors), dtype=torch.bool, device=anchors.device)
    boxes = boxes.to(anchors)
    for some in torch.split(boxes, max(1, _PAIRS // len(anchors))):
        overlaps = box_iou(some, anchors)
        best = overlaps.amax(1, keepdim=True)
        near |= (overlaps > threshold * best).any(0)
    return near.to(anchors.dtype)


@MODELS.register_module()
class FGFILoss(PairLoss):
    r"""Squared difference at places near objects, a mean over these places.

    .. math::
        L = \frac{1}{2 N_p} \sum_{\text{levels}} \sum_{nchw} M (F_S - F_T)^2, \quad
        N_p = \sum_{\text{levels}} \sum_{nhw} M

    Differences are summed over channels. :math:`N_p` counts all places of the batch
    and of all levels, so that a place weighs the same wherever it is; the loss is 0
    where nothing is near an object.

    Args:
        threshold: Share of a box's best overlap that an anchor must exceed.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    default_reduction: ClassVar[str] = 'sum'
    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(self, *, threshold: float = 0.5, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('threshold', threshold, ge=0)
        if threshold >= 1:
            raise ConfigError(
                f'`threshold` must be below 1, but is {threshold!r}: no anchor is '
                'better than the best.'
            )
        self.threshold = threshold

    def compute_levels(  # type: ignore[override]
        self,
        levels: list[tuple[Tensor, Tensor]],
        data_samples: Sequence[Any],
        head: Any,
    ) -> list[Tensor]:
        """Returns each image's part ``(n)`` of the loss of every level.

        Args:
            levels: Student's and teacher's feature of each level ``(n c h w)``.
            data_samples: Samples with ground truth boxes.
            head: The head with the anchors of these levels: mmdet's, or any module
                with ``prior_generator.grid_priors(sizes, device=...)``.
        """
        for student, teacher in levels:
            check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
        boxes = boxes_of(data_samples, [student for student, _ in levels])
        sizes = [(student.shape[2], student.shape[3]) for student, _ in levels]
        anchors = _anchors_of(head, sizes, levels[0][0].device)
        masks = imitation_masks(anchors, boxes, sizes, threshold=self.threshold)
        places = torch.stack([mask.sum() for mask in masks]).sum().clamp(min=1)
        return [
            self.compute(student, teacher, mask / places)
            for (student, teacher), mask in zip(levels, masks)
        ]

    def compute(self, student: Tensor, teacher: Tensor, places: Tensor) -> Tensor:  # type: ignore[override]
        """Returns each image's part ``(n)`` of the loss of one level."""
        error = (student - teacher).square().sum(1)
        return 0.5 * (error * places.to(error.dtype)).sum((1, 2))


def _anchors_of(
    head: Any, sizes: list[tuple[int, int]], device: torch.device
) -> list[Tensor]:
    """Returns the anchors of a head."""
    generator: Any = getattr(head, 'prior_generator', None)
    kind = type(head).__name__
    hint = (
        'FGFI needs a head with anchors, such as `bbox_head` of RetinaNet or '
        "`rpn_head` of Faster R-CNN: head=dict(of='student', at=dict(type='Module', "
        "source='bbox_head'))."
    )
    if not callable(getattr(generator, 'grid_priors', None)):
        raise ConfigError(f'`head` is a `{kind}` without `prior_generator`; {hint}')
    levels = getattr(generator, 'num_levels', len(sizes))
    if levels != len(sizes):
        raise ShapeError(
            f'`{kind}` has anchors for {levels} levels, but the features have '
            f'{len(sizes)}; tap the levels that this head sees.'
        )
    anchors = list(generator.grid_priors(sizes, device=device))
    if any(level.dim() != 2 or level.shape[1] != 4 for level in anchors):
        raise ConfigError(
            f'`head` is a `{kind}`, whose `{type(generator).__name__}` makes points '
            f'{tuple(anchors[0].shape)}, not anchors (... 4); {hint}'
        )
    return anchors
