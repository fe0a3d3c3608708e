r"""PKD: General Distillation Framework for Detectors via Pearson Correlation.

Cao, Zhang, Gao, Cheng, Cheng, Lu, "PKD: General Distillation Framework for Object
Detectors via Pearson Correlation Coefficient", NeurIPS 2022, `arXiv 2207.02039
<https://arxiv.org/abs/2207.02039>`_. A feature method for unequal detectors: channels
are compared by their correlation, so their scale and offset do not matter, nothing has
to be learned, and FCOS can teach RetinaNet.

Recipe: the first four outputs of ``neck``; weight 6 a level for Faster R-CNN and for
RetinaNet under a Mask R-CNN, 10 for RetinaNet under a one-stage teacher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.errors import check_range
from mmkd_ext.functional.moments import correlation_distance
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['PKDLoss']


@MODELS.register_module()
class PKDLoss(PairLoss):
    r"""Squared difference of standardised channels, halved, a mean over all elements.

    .. math::
        L = \frac{1}{2 N C H W} \sum (\hat F^S - \hat F^T)^2
          = \frac{m - 1}{m} \Bigl(1 - \frac{1}{C} \sum_c r_c\Bigr), \qquad m = N H W

    :math:`\hat F` has mean 0 and unbiased standard deviation 1 in each channel, over
    the batch and all positions; :math:`r_c` is the correlation of the two sides. The
    second form holds up to `eps`. Statistics are those of one GPU, as published, and
    computed in float32.

    Equals mmrazor's ``PKDLoss``, the authors' own, where that works. Unlike it, a side
    of another width or a pyramid of another length is refused, a level that is one
    value for each channel gives 0 instead of NaN, and size is aligned by the link.

    Images share their statistics, so an item is one image's part of a channel's
    distance, and a batch is not the mean of its images.

    Args:
        eps: Added to the standard deviation, > 0.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> teacher = torch.randn(2, 8, 4, 4)
        >>> bool(PKDLoss(loss_weight=6.0)(3 * teacher - 1, teacher) < 1e-6)
        True
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(self, eps: float = 1e-6, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('eps', eps, above=0)
        self.eps = eps

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns each image's part of the distance of each channel ``(n c)``."""
        return correlation_distance(student, teacher, eps=self.eps)
