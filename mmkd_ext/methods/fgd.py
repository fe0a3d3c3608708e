r"""FGD: Focal and Global Knowledge Distillation for Detectors.

Yang, Li, Jiang, Gong, Yuan, Zhao, Yuan, CVPR 2022, `arXiv 2111.11837
<https://arxiv.org/abs/2111.11837>`_. A feature method for detection: objects and
background are compared apart from each other, where and in which channels the teacher
looks (focal), and so is what each level says about the picture as a whole (global).

Recipe: FPN levels, ``tau=0.5``, gradients clipped to a norm of 35, the student's neck
and head inherited from the teacher, but for a cascade, which gives nothing. Weights for
foreground, background, attention, global: 1e-3, 5e-4, 5e-4, 5e-6 for one-stage
detectors with anchors (P3-P7); 1.6e-3, 8e-4, 8e-4, 8e-6 without anchors (P3-P7; FCOS
with ``tau=0.8``); 5e-5, 2.5e-5, 5e-5, 5e-7 for two-stage detectors (P2-P5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mmkd_ext.errors import (
    ShapeError,
    check_choice,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.attention import channel_attention, spatial_attention
from mmkd_ext.functional.boxes import background_mask, scale_mask
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._boxes import boxes_of, image_sizes
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['FGDLoss', 'FocalMaps', 'focal_maps']


class FocalMaps(NamedTuple):
    """Where FGD looks on one level.

    Args:
        foreground: Scale mask of the boxes ``(n h w)``.
        background: Mask of what is outside of all boxes ``(n h w)``.
        spatial: Spatial attention of the teacher ``(n h w)``.
        channel: Channel attention of the teacher ``(n c)``.
    """

    foreground: Tensor
    background: Tensor
    spatial: Tensor
    channel: Tensor


def focal_maps(
    teacher: Tensor,
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    *,
    tau: float = 0.5,
    divide_first: bool = False,
) -> FocalMaps:
    """Returns the masks and attentions by which FGD weighs one level.

    Args:
        teacher: Feature of the teacher ``(n c h w)``.
        boxes: Boxes of each image ``(b 4)`` in pixels.
        sizes: Height and width in pixels of the frame that the map covers.
        tau: Temperature of the attentions, > 0.
        divide_first: See :func:`~mmkd_ext.functional.scale_mask`.

    Raises:
        ShapeError: The feature, the boxes and the sizes do not belong together.

    Examples:
        >>> import torch
        >>> maps = focal_maps(torch.zeros(1, 8, 2, 2), [torch.zeros(0, 4)], [(16, 16)])
        >>> maps.background
        tensor([[[0.2500, 0.2500],
                 [0.2500, 0.2500]]])
    """
    check_shapes(teacher=(teacher, 'n c h w'))
    if len(boxes) != len(teacher):
        raise ShapeError(
            f'there are boxes of {len(boxes)} images, but the feature is '
            f'{tuple(teacher.shape)}; both must be of the same batch.'
        )
    foreground = scale_mask(
        boxes,
        sizes,
        (teacher.shape[2], teacher.shape[3]),
        divide_first=divide_first,
    )
    foreground = foreground.to(teacher.dtype)
    return FocalMaps(
        foreground,
        background_mask(foreground),
        spatial_attention(teacher, tau=tau),
        channel_attention(teacher, tau=tau),
    )


@MODELS.register_module()
class FGDLoss(PairLoss):
    r"""Weighted squared difference, attention difference and context difference.

    .. math::
        L = \frac{1}{N} \sum_{\text{levels}} &\sum_{nchw}
            (w_f M^f + w_b M^b) \, A^S_T A^C_T \, (F_T - F_S)^2 \\
            &+ w_a \Big( \sum_{nhw} |A^S_T - A^S_S| + \sum_{nc} |A^C_T - A^C_S| \Big)
             + w_g \sum_{nchw} (R_T(F_T) - R_S(F_S))^2

    with the scale mask :math:`M^f` and background mask :math:`M^b` of
    :mod:`mmkd_ext.functional.boxes`, the attentions :math:`A` of
    :mod:`mmkd_ext.functional.attention`, and a context block :math:`R` for each level
    and side. Both blocks learn, the teacher's features do not.

    The authors' code scales boxes by the size of the image before padding, although
    the map covers the padded batch: in a batch of mixed sizes its masks are stretched
    beyond the objects. ``box_frame='padded'``, the default, puts them over the objects;
    ``'img_shape'`` repeats the published runs, also in how float32 rounds an end of a
    box that lies on the border of two cells (`divide_first` of
    :func:`~mmkd_ext.functional.scale_mask`). But for that both are equal where nothing
    is padded. Boxes without area or outside the image have no part in the masks.

    Args:
        channels: Channels of the teacher's levels.
        levels: Number of levels.
        weight_fg: Weight of the difference inside boxes (`alpha_fgd`).
        weight_bg: Weight of the difference outside (`beta_fgd`).
        weight_attention: Weight of the difference of attentions (`gamma_fgd`).
        weight_global: Weight of the difference of contexts (`lambda_fgd`).
        tau: Temperature of the attentions, > 0.
        box_frame: What the map covers: ``'padded'`` or ``'img_shape'``.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> sample = SimpleNamespace(
        ...     gt_instances=SimpleNamespace(bboxes=torch.tensor([[8., 8., 32., 32.]])),
        ...     metainfo=dict(batch_input_shape=(64, 64)))
        >>> loss = FGDLoss(channels=4, levels=1, weight_fg=1.0, weight_bg=0.0,
        ...                weight_global=0.0)
        >>> feature = torch.ones(1, 4, 8, 8)
        >>> round(loss(feature, 1 + feature, data_samples=[sample]).item(), 4)
        4.0
    """

    default_reduction: ClassVar[str] = 'batchmean'
    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(
        self,
        channels: int,
        levels: int,
        *,
        weight_fg: float = 1e-3,
        weight_bg: float = 5e-4,
        weight_attention: float = 5e-4,
        weight_global: float = 5e-6,
        tau: float = 0.5,
        box_frame: str = 'padded',
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_integer('channels', channels, low=1)
        check_integer('levels', levels, low=1)
        weights = {
            'weight_fg': weight_fg,
            'weight_bg': weight_bg,
            'weight_attention': weight_attention,
            'weight_global': weight_global,
        }
        for name, weight in weights.items():
            check_range(name, weight, low=0)
        check_range('tau', tau, above=0)
        check_choice('box_frame', box_frame, ('padded', 'img_shape'))
        self.weight_fg, self.weight_bg = weight_fg, weight_bg
        self.weight_attention, self.weight_global = weight_attention, weight_global
        self.channels = channels
        self.tau = tau
        self.box_frame = box_frame
        self.student_context = nn.ModuleList(
            _ContextBlock(channels) for _ in range(levels)
        )
        self.teacher_context = nn.ModuleList(
            _ContextBlock(channels) for _ in range(levels)
        )

    @property
    def published_frame(self) -> bool:
        """Whether boxes are put on the map as in the published runs."""
        return self.box_frame == 'img_shape'

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]], data_samples: Sequence[Any]
    ) -> list[Tensor]:
        """Returns the loss of each image ``(n)`` on every level.

        Raises:
            ShapeError: There are more or fewer levels than `levels`.
            DataError: A sample has no boxes or does not say its size.
        """
        if len(levels) != len(self.student_context):
            raise ShapeError(
                f'`FGDLoss` has levels={len(self.student_context)}, but got '
                f'{len(levels)}; set `levels`, or choose levels with '
                '`item=[0, 1, ...]`.'
            )
        boxes = boxes_of(data_samples)
        sizes = image_sizes(data_samples, padded=not self.published_frame)
        return [
            self.compute(student, teacher, boxes=boxes, sizes=sizes, level=level)
            for level, (student, teacher) in enumerate(levels)
        ]

    def compute(  # type: ignore[override]
        self,
        student: Tensor,
        teacher: Tensor,
        *,
        boxes: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
        level: int,
    ) -> Tensor:
        """Returns the loss of each image ``(n)`` on one level."""
        pattern = f'n {self.channels} h w'
        check_shapes(student=(student, pattern), teacher=(teacher, pattern))
        maps = focal_maps(
            teacher, boxes, sizes, tau=self.tau, divide_first=self.published_frame
        )
        channels = maps.channel - channel_attention(student, tau=self.tau)
        positions = maps.spatial - spatial_attention(student, tau=self.tau)
        attention = channels.abs().sum(1) + positions.abs().sum((1, 2))
        focal, relation = self._differences(student, teacher, maps, level)
        return focal + self.weight_attention * attention + self.weight_global * relation

    def _differences(
        self, student: Tensor, teacher: Tensor, maps: FocalMaps, level: int
    ) -> tuple[Tensor, Tensor]:
        """Returns the weighted and the global squared difference of each image.

        A context block adds one number to a whole channel, so the square of the sum is
        taken apart: the global term needs no map that the focal term does not have.
        """
        places = self.weight_fg * maps.foreground + self.weight_bg * maps.background
        places = (places * maps.spatial).flatten(1)
        difference = (student - teacher).flatten(2)
        weights = torch.stack([places, torch.ones_like(places)], 1)
        squares = torch.einsum('nci,nki->knc', difference.square(), weights)
        added: Tensor = self.student_context[level](student)
        added = added - self.teacher_context[level](teacher)
        relation = (
            squares[1]
            + 2 * added * difference.sum(2)
            + difference.shape[2] * added.square()
        )
        return (squares[0] * maps.channel).sum(1), relation.sum(1)


class _ContextBlock(nn.Module):
    """What GCNet's block adds to every position: a summary of the whole map.

    Starts at zero, as its last layer does, so that the global term first is a plain
    squared difference.

    Args:
        channels: Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 2)
        self.where = nn.Conv2d(channels, 1, 1)
        last = nn.Linear(hidden, channels)
        self.transform = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            last,
        )
        nn.init.kaiming_normal_(self.where.weight, mode='fan_in', nonlinearity='relu')
        nn.init.zeros_(self.where.bias)  # type: ignore[arg-type]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, feature: Tensor) -> Tensor:
        """Returns what is added to each channel ``(n c)`` of a map ``(n c h w)``."""
        weights = self.where(feature).flatten(1).softmax(1)
        context = torch.einsum('nci,ni->nc', feature.flatten(2), weights)
        added: Tensor = self.transform(context)
        return added
