r"""SKDS: Structured Knowledge Distillation for Semantic Segmentation.

Liu, Chen, Liu, Qin, Luo, Wang, CVPR 2019 and TPAMI, `arXiv 1903.04197
<https://arxiv.org/abs/1903.04197>`_. A relation method: the cosines between the regions
of the student's map follow those of the teacher's. The paper adds a pixel-wise term,
which is :class:`~mmkd_ext.methods.KDLoss`, and a holistic one, an adversary on whole
predictions, which is not here: it needs an optimizer of its own.

Recipe: feature after the pyramid pooling, regions of half the map, weight 0.5; pixel
term weight 10, summed over the images of a device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch.nn.functional as F

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.functional.affinity import affinity_squared_distance
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['SKDSPairwiseLoss']


@MODELS.register_module()
class SKDSPairwiseLoss(PairLoss):
    r"""Squared difference of the cosines between regions, a mean over pairs.

    .. math::
        L = \frac{1}{N R^2} \sum_{n,i,j} (a^S_{nij} - a^T_{nij})^2, \quad
        a_{ij} = \cos(x_i, x_j)

    The ``R`` regions come from max pooling with windows of `scale` times the map, side
    by side; with 0.5 they are 2 x 2, or 3 x 3 where the size is odd. With smaller
    windows there are many regions, and no ``R x R`` matrix is made; see
    :func:`~mmkd_ext.functional.affinity_squared_distance`.

    Args:
        scale: Side of a region as a part of the map's, > 0 and <= 1; its size in
            pixels is rounded down, but at least 1.
        norm_gradient: Whether gradients flow through the lengths of the features. The
            authors' code takes them for constants, so False gave the published
            figures.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> x = torch.eye(2).reshape(1, 2, 1, 2)
        >>> SKDSPairwiseLoss()(x, torch.ones(1, 3, 1, 2))
        tensor(0.5000)
    """

    free: ClassVar[frozenset[str]] = frozenset({'channels'})

    def __init__(
        self, scale: float = 0.5, norm_gradient: bool = False, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('scale', scale, above=0, high=1)
        self.scale = scale
        self.norm_gradient = norm_gradient

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the mean squared difference of each image ``(n)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
        student, teacher = (self._regions(x) for x in (student, teacher))
        count = student.shape[2] * student.shape[3]
        distance = affinity_squared_distance(
            student, teacher, norm_gradient=self.norm_gradient
        )
        return distance / count**2

    def _regions(self, x: Tensor) -> Tensor:
        window = tuple(max(1, int(self.scale * side)) for side in x.shape[2:])
        return x if window == (1, 1) else F.max_pool2d(x, window, ceil_mode=True)
