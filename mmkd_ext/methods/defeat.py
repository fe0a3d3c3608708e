r"""DeFeat: Distilling Object Detectors via Decoupled Features.

Guo, Han, Wang, Wu, Chen, Xu, Xu, CVPR 2021, `arXiv 2103.14475
<https://arxiv.org/abs/2103.14475>`_. A feature and a logit method for detection: what
lies inside the boxes and what lies outside is imitated with weights of its own, on the
neck's levels and on the proposals of a RoI head.

Recipe: all FPN levels through a ``mmkd_ext.DeFeatAdapter`` each, weights 3 (inside) and
12 (outside), which are those of Pascal VOC; those of COCO are not in the authors' code.
RoI head: ``tau=1`` and weight 2 for both groups, in the code but not in its config.
Gradients clipped to a norm of 35.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmkd_ext.errors import check_integer, check_range, check_shapes
from mmkd_ext.functional.boxes import box_levels, box_mask
from mmkd_ext.functional.divergence import class_divergence
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._boxes import boxes_of, image_sizes
from mmkd_ext.registry import MODELS

__all__ = ['DeFeatAdapter', 'DeFeatHeadLoss', 'DeFeatLoss']


@MODELS.register_module()
class DeFeatLoss(PairLoss):
    r"""Half the mean squared difference inside boxes and outside, a mean over levels.

    .. math::
        L = \frac{1}{L} \sum_{\text{levels}} \Big(
            \frac{w_f}{2 C |M|} \sum_{nchw} M (F_S - F_T)^2 +
            \frac{w_b}{2 C |1 - M|} \sum_{nchw} (1 - M) (F_S - F_T)^2 \Big)

    :math:`M` marks the boxes of its level: each box belongs to one, by its size, as
    regions do in FPN. :math:`|M|` counts over the whole batch, so the loss of an image
    depends on the others; a term without cells is 0.

    Two differences to the authors' code: boxes keep their last row and column, which
    rounding down takes there, and boxes are scaled to the padded batch that the map
    covers.

    Args:
        weight_fg: Weight of the difference inside boxes.
        weight_bg: Weight of the difference outside.
        finest_scale: Boxes below twice this size, in pixels, are on the first level.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> from types import SimpleNamespace
        >>> sample = SimpleNamespace(
        ...     gt_instances=SimpleNamespace(bboxes=torch.tensor([[8., 8., 32., 32.]])),
        ...     metainfo=dict(batch_input_shape=(64, 64)))
        >>> DeFeatLoss(weight_fg=3.0, weight_bg=12.0)(
        ...     torch.zeros(1, 4, 8, 8), torch.full((1, 4, 8, 8), 2.0),
        ...     data_samples=[sample])
        tensor(30.0000)
    """

    default_reduction: ClassVar[str] = 'sum'
    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(
        self,
        *,
        weight_fg: float = 3.0,
        weight_bg: float = 12.0,
        finest_scale: float = 56.0,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_range('weight_fg', weight_fg, ge=0)
        check_range('weight_bg', weight_bg, ge=0)
        check_range('finest_scale', finest_scale, gt=0)
        self.weight_fg, self.weight_bg = weight_fg, weight_bg
        self.finest_scale = finest_scale

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]], data_samples: Sequence[Any]
    ) -> list[Tensor]:
        """Returns each image's part ``(n)`` of the loss of every level."""
        boxes = boxes_of(data_samples, [student for student, _ in levels])
        sizes = image_sizes(data_samples)
        of_level = [
            box_levels(some, len(levels), finest_scale=self.finest_scale)
            for some in boxes
        ]
        items = []
        for level, (student, teacher) in enumerate(levels):
            check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
            mask = box_mask(
                boxes,
                sizes,
                (student.shape[2], student.shape[3]),
                counts=[some == level for some in of_level],
            )
            items.append(self.compute(student, teacher, mask) / len(levels))
        return items

    def compute(self, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """Returns each image's part ``(n)`` of the loss of one level."""
        mask = mask.to(student.dtype)
        places = self.weight_fg * _shares(mask) + self.weight_bg * _shares(1 - mask)
        error = (student - teacher).square().mean(1)
        return 0.5 * (error * places).sum((1, 2))


@MODELS.register_module()
class DeFeatHeadLoss(PairLoss):
    r"""KL divergence of classes, a mean over objects and one over background.

    .. math::
        L = \tau^2 \Big( \frac{w_f}{|f|} \sum_{r \in f} \mathrm{KL}(p^T_r \| p^S_r) +
            \frac{w_b}{|b|} \sum_{r \in b} \mathrm{KL}(p^T_r \| p^S_r) \Big), \quad
        p_r = \operatorname{softmax}(z_r / \tau)

    Rows are proposals of a RoI head, their last class is the background, and the rows
    that are labelled so are :math:`b`. Teacher and student classify the same
    proposals; in the authors' code the labels are of the student's proposals and the
    logits of the teacher's. A group without rows counts 0.

    Args:
        weight_fg: Weight of the objects.
        weight_bg: Weight of the background.
        tau: Temperature, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> DeFeatHeadLoss()(torch.zeros(3, 5), torch.ones(3, 5),
        ...                  labels=torch.tensor([0, 4, 4]))
        tensor(0.)
    """

    default_reduction: ClassVar[str] = 'sum'
    alignable: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        weight_fg: float = 2.0,
        weight_bg: float = 2.0,
        tau: float = 1.0,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_range('weight_fg', weight_fg, ge=0)
        check_range('weight_bg', weight_bg, ge=0)
        check_range('tau', tau, gt=0)
        self.weight_fg, self.weight_bg = weight_fg, weight_bg
        self.tau = tau

    def compute(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Returns each row's part ``(r)`` of the loss."""
        check_shapes(
            student=(student, 'r k'), teacher=(teacher, 'r k'), labels=(labels, 'r')
        )
        background = student.shape[1] - 1
        inside = ((labels >= 0) & (labels < background)).to(student.dtype)
        outside = (labels == background).to(student.dtype)
        weights = self.weight_fg * _shares(inside) + self.weight_bg * _shares(outside)
        return weights * class_divergence(student, teacher, tau=self.tau)


@MODELS.register_module()
class DeFeatAdapter(nn.Module):
    """A 3x3 convolution before the comparison, almost zero at first.

    Its weights start normal, wrapped into two deviations, times 1e-4, as in the
    authors' code: the student's feature enters slowly. Its bias starts at zero; theirs
    starts as PyTorch sets it.

    Args:
        in_channels: Channels of the student's map.
        out_channels: Channels of the teacher's map; as the student's where None.
    """

    def __init__(self, in_channels: int, out_channels: int | None = None) -> None:
        super().__init__()
        out_channels = in_channels if out_channels is None else out_channels
        check_integer('in_channels', in_channels, ge=1)
        check_integer('out_channels', out_channels, ge=1)
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        with torch.no_grad():
            self.conv.weight.normal_().fmod_(2).mul_(1e-4)
            if self.conv.bias is not None:
                self.conv.bias.zero_()

    def forward(self, feature: Tensor) -> Tensor:
        """Maps ``(n c h w)`` to ``(n out_channels h w)``."""
        check_shapes(feature=(feature, f'n {self.conv.in_channels} h w'))
        result: Tensor = self.conv(feature)
        return result


def _shares(mask: Tensor) -> Tensor:
    """Divides a mask by its sum over the batch; one without members stays zero."""
    return mask / mask.sum().clamp(min=1)
