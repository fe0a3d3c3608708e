r"""FGD: Focal and Global Knowledge Distillation for Detectors.

Yang, Li, Jiang, Gong, Yuan, Zhao, Yuan, CVPR 2022, `arXiv 2111.11837
<https://arxiv.org/abs/2111.11837>`_. A feature method for detection: objects and
background are compared apart from each other, where and in which channels the teacher
looks (focal), and so is the context of each level (global).

Recipe: FPN levels, ``tau=0.5``, gradients clipped to a norm of 35, the student's neck
and head inherited from the teacher, but for a cascade, which gives nothing. Weights for
foreground, background, attention, global: 1e-3, 5e-4, 5e-4, 5e-6 for one-stage
detectors with anchors (P3-P7); 1.6e-3, 8e-4, 8e-4, 8e-6 without anchors (P3-P7; FCOS
with ``tau=0.8``); 5e-5, 2.5e-5, 5e-5, 5e-7 for two-stage detectors (P2-P5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mmkd_ext.errors import (
    ShapeError,
    check_choice,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.attention import spatial_attention
from mmkd_ext.functional.boxes import boxes_on_map, mark_between
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._boxes import boxes_of, image_sizes
from mmkd_ext.registry import MODELS

__all__ = [
    'FGDLoss',
    'FocalMaps',
    'background_mask',
    'channel_attention',
    'focal_maps',
    'scale_mask',
]

_CELLS = 2**22
"""Cells of boxes that are compared at once; bounds the memory of crowds."""


def channel_attention(feature: Tensor, *, tau: float = 1.0) -> Tensor:
    r"""Returns the attention of each channel; its mean over channels is 1.

    .. math::
        A_{nc} = C \operatorname{softmax}_c \Big(
            \frac{1}{\tau H W} \sum_i |F_{nci}| \Big)

    Args:
        feature: Feature map ``(n c h w)``.
        tau: Temperature, > 0; a lower one keeps only the strongest channels.

    Returns:
        Attention ``(n c)``, positive, in sum ``c`` for each image.

    Raises:
        ShapeError: The feature is not ``(n c h w)``.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> channel_attention(torch.ones(1, 2, 3, 3))
        tensor([[1., 1.]])
    """
    check_shapes(feature=(feature, 'n c h w'))
    check_range('tau', tau, gt=0)
    strength = feature.abs().mean((2, 3))
    return (strength / tau).softmax(1) * strength.shape[1]


@torch.no_grad()
def scale_mask(
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    map_size: tuple[int, int],
    *,
    divide_first: bool = False,
) -> Tensor:
    r"""Returns one over the size of the smallest box at each cell, 0 where none is.

    .. math::
        M_{nyx} = \max_{b \ni (y, x)} \frac{1}{H_b W_b}

    As in the authors' code a box begins at the floor of its first coordinate and
    includes the ceiling of its last one, and a box that reaches over the border counts
    with its full size.

    Args:
        boxes: Boxes of each image ``(b 4)``, any number of them.
        sizes: Height and width of each image in pixels.
        map_size: Height and width of the map in cells.
        divide_first: Scale a coordinate as the authors do, divided by the image's side
            and then multiplied by the map's. In float32 the result may be on the other
            side of a whole cell, which moves an end of a box by a cell.

    Returns:
        The mask ``(n h w)``, between 0 and 1.

    Raises:
        ShapeError: Boxes are not ``(b 4)``, or boxes and sizes differ in number.

    Examples:
        >>> boxes = [torch.tensor([[0.0, 0.0, 8.0, 8.0]])]
        >>> scale_mask(boxes, [(16, 32)], (2, 4))
        tensor([[[0.2500, 0.2500, 0.0000, 0.0000],
                 [0.2500, 0.2500, 0.0000, 0.0000]]])
    """
    cells = boxes_on_map(boxes, sizes, map_size, divide_first=divide_first)
    bottom, right = cells.bottom + 1, cells.right + 1
    area = (bottom - cells.top) * (right - cells.left)
    value = torch.where(cells.counts, 1 / area, torch.zeros_like(area))
    rows = mark_between(cells.top, bottom, map_size[0]) * value.unsqueeze(-1)
    columns = mark_between(cells.left, right, map_size[1])
    mask = rows.new_zeros((len(rows), *map_size))
    step = max(1, _CELLS // max(1, mask.numel()))
    for some, others in zip(torch.split(rows, step, 1), torch.split(columns, step, 1)):
        if some.shape[1]:
            there = some.unsqueeze(-1) * others.unsqueeze(-2)
            mask = torch.maximum(mask, there.amax(1))
    return mask


def background_mask(foreground: Tensor) -> Tensor:
    """Returns one over the number of cells without a box, at each of them ``(n h w)``.

    `foreground` is 0 where no box is, ``(n h w)``. An image's values sum to 1, or to 0
    where boxes leave no cell.

    Examples:
        >>> background_mask(torch.tensor([[[0.0, 0.5], [0.0, 0.5]]]))
        tensor([[[0.5000, 0.0000],
                 [0.5000, 0.0000]]])
    """
    check_shapes(foreground=(foreground, 'n h w'))
    free = (foreground == 0).to(foreground.dtype)
    return free / free.sum((1, 2), keepdim=True).clamp(min=1)


class FocalMaps(NamedTuple):
    """The weights of FGD on one level.

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
    """Returns the masks and attentions by which FGD weighs a teacher ``(n c h w)``.

    Other arguments are those of :func:`scale_mask` and :func:`channel_attention`.

    Raises:
        ShapeError: The feature, the boxes and the sizes do not belong together.
    """
    check_shapes(teacher=(teacher, 'n c h w'))
    if len(boxes) != len(teacher):
        raise ShapeError(
            f'there are boxes of {len(boxes)} images, but the feature is '
            f'{tuple(teacher.shape)}; both must be of the same batch.'
        )
    foreground = scale_mask(
        boxes, sizes, (teacher.shape[2], teacher.shape[3]), divide_first=divide_first
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

    with :func:`scale_mask` :math:`M^f`, :func:`background_mask` :math:`M^b`,
    :func:`~mmkd_ext.functional.spatial_attention` and :func:`channel_attention`
    :math:`A`, and a context block :math:`R` for each level and side. Both blocks learn,
    the teacher's features do not.

    The authors' code scales boxes by the size of the image before padding, although
    the map covers the padded batch: in a batch of mixed sizes its masks are stretched
    beyond the objects. ``box_frame='padded'``, the default, puts them over the objects;
    ``'img_shape'`` repeats the published runs, with `divide_first` of
    :func:`scale_mask`. Boxes without area or outside the image are left out.

    Args:
        channels: Channels of the teacher's levels.
        levels: Number of levels.
        weight_fg: Weight of the difference inside boxes (`alpha_fgd`).
        weight_bg: Weight of the difference outside (`beta_fgd`).
        weight_attention: Weight of the difference of attentions (`gamma_fgd`).
        weight_global: Weight of the difference of contexts (`lambda_fgd`).
        tau: Temperature of the attentions, > 0.
        box_frame: What the map covers: ``'padded'`` or ``'img_shape'``.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
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
        check_integer('channels', channels, ge=1)
        check_integer('levels', levels, ge=1)
        check_range('weight_fg', weight_fg, ge=0)
        check_range('weight_bg', weight_bg, ge=0)
        check_range('weight_attention', weight_attention, ge=0)
        check_range('weight_global', weight_global, ge=0)
        check_range('tau', tau, gt=0)
        check_choice('box_frame', box_frame, ('padded', 'img_shape'))
        self.weight_fg, self.weight_bg = weight_fg, weight_bg
        self.weight_attention, self.weight_global = weight_attention, weight_global
        self.channels, self.tau, self.box_frame = channels, tau, box_frame
        self.student_context, self.teacher_context = (
            nn.ModuleList(_ContextBlock(channels) for _ in range(levels))
            for _ in range(2)
        )

    @property
    def published_frame(self) -> bool:
        """Whether boxes are put on the map as in the published runs."""
        return self.box_frame == 'img_shape'

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]], data_samples: Sequence[Any]
    ) -> list[Tensor]:
        """Returns the loss of each image ``(n)`` on every level."""
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
        relation = squares[1] + 2 * added * difference.sum(2)
        relation = relation + difference.shape[2] * added.square()
        return (squares[0] * maps.channel).sum(1), relation.sum(1)


class _ContextBlock(nn.Module):
    """What GCNet's block adds to every position: a summary of the whole map.

    Starts at zero, as its last layer does, so that the global term first is a plain
    squared difference.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 2)
        self.where = nn.Conv2d(channels, 1, 1)
        last = nn.Linear(hidden, channels)
        self.transform = nn.Sequential(
            nn.Linear(channels, hidden), nn.LayerNorm(hidden), nn.ReLU(), last
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
