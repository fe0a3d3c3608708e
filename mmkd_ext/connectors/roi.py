"""The teacher's RoI head on the student's proposals."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mmkd_ext.errors import ConfigError, ShapeError, check_integer
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ['RoIClassify']


@MODELS.register_module()
class RoIClassify(nn.Module):
    """Classifies regions that another model proposed with the teacher's RoI head.

    Two-stage detectors propose different regions, so their class scores can only be
    compared on common ones: those that the student sampled for its own loss. The
    teacher may stop after its neck; this connector takes its pyramid from there, and
    runs its RoI head, in eval mode and without gradients. A link reads::

        preds_S=dict(of='student', item=0, at=dict(
            type='ModuleInputs', source='roi_head.bbox_head.loss_cls')),
        preds_T=dict(
            of='teacher', at='neck',
            connector=dict(type='mmkd_ext.RoIClassify'),
            given=dict(
                roi_head=dict(of='teacher', at=dict(
                    type='Module', source='roi_head')),
                rois=dict(of='student', item=1, at=dict(
                    type='ModuleInputs', source='roi_head.bbox_roi_extractor'))))

    Any head with mmdet's ``_bbox_forward`` works: standard, with a shared head or
    masks, double, cascade. A cascade classifies with one of its stages; stage 0 is the
    one that was trained on proposals as they come from an RPN.

    Args:
        stage: Stage of a cascade, counted from 0; None for other heads.
    """

    yields_classes: ClassVar[bool] = True
    """Columns of what it returns are classes, which alignment must not mix."""

    def __init__(self, stage: int | None = None) -> None:
        super().__init__()
        if stage is not None:
            check_integer('RoIClassify.stage', stage, ge=0)
        self.stage = stage

    def forward(
        self, pyramid: Tensor | Sequence[Tensor], roi_head: nn.Module, rois: Tensor
    ) -> Tensor:
        """Returns class scores before their softmax, ``(r k)``.

        Args:
            pyramid: The maps that the RoI head pools from, as its neck returns them.
            roi_head: The head.
            rois: Regions ``(r 5)``: index of the image, then two corners in pixels of
                the input.

        Raises:
            ShapeError: ``rois`` are no regions.
            ConfigError: The module is no RoI head, classifies nothing, or has not
                this stage.
        """
        if not isinstance(rois, Tensor) or rois.dim() != 2 or rois.shape[1] != 5:
            got = tuple(rois.shape) if isinstance(rois, Tensor) else type(rois)
            raise ShapeError(
                f'`rois` of `RoIClassify` must be (r 5), but is {got}; tap the '
                "ModuleInputs of the student's `roi_head.bbox_roi_extractor`, item 1."
            )
        self._check(roi_head)
        head: Any = roi_head
        stage = () if self.stage is None else (self.stage,)
        maps = (pyramid,) if isinstance(pyramid, Tensor) else tuple(pyramid)
        with torch.no_grad(), _evaluating(roi_head):
            scores: Tensor = head._bbox_forward(*stage, maps, rois)['cls_score']
        return scores

    def _check(self, roi_head: nn.Module) -> None:
        """Raises where the module is no RoI head, or has not this stage."""
        kind = type(roi_head).__name__
        if not hasattr(roi_head, '_bbox_forward'):
            raise ConfigError(
                f'`RoIClassify` needs a RoI head of mmdet, but `roi_head` is '
                f"`{kind}`; tap dict(type='Module', source='roi_head') of a "
                'two-stage teacher.'
            )
        heads = getattr(roi_head, 'bbox_head', None)
        stages = len(heads) if isinstance(heads, nn.ModuleList) else 0
        if self.stage < stages if self.stage is not None else not stages:
            return
        has = 'no stages; leave `stage` out.'
        if stages:
            has = f'the stages 0 to {stages - 1}; set `stage` to one of them.'
        raise ConfigError(
            f'`RoIClassify` has stage={self.stage}, but `{kind}` has {has}'
        )


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Puts a module into eval mode during the block."""
    training = [one for one in module.modules() if one.training]
    for one in training:
        one.training = False
    try:
        yield
    finally:
        for one in training:
            one.training = True
