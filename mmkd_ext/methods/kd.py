r"""KD: Distilling the Knowledge in a Neural Network.

Hinton, Vinyals, Dean, 2015, `arXiv 1503.02531 <https://arxiv.org/abs/1503.02531>`_. A
response method: the student's class distribution follows the teacher's, both softened
by a temperature. On dense logits every pixel is a sample (pixel-wise distillation).

Recipe: segmentation logits at ``decode_head.conv_seg``, ``tau=1``, weight 1, as the
pixel term of CIRKD (CVPR 2022); classification logits, ``tau=4``, weight 0.9 with 0.1
on the cross entropy, as RepDistiller does on CIFAR-100.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmkd_ext.errors import check_range
from mmkd_ext.functional.divergence import class_divergence
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['KDLoss']


@MODELS.register_module()
class KDLoss(PairLoss):
    r"""KL divergence of the softened classes, a mean over samples and pixels.

    .. math::
        L = \frac{\tau^2}{N H W} \sum_{n,h,w} \mathrm{KL}(p^T_{nhw} \| p^S_{nhw})

    The mean is over pixels. mmrazor's ``KLDivergence`` divides by ``N`` alone
    (``'batchmean'``, ``HW`` times more) or by ``N C H W`` (``'mean'``, ``C`` times
    less); multiply `loss_weight` accordingly when you port such a config.

    Args:
        tau: Temperature, > 0.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> KDLoss(tau=4.0)(torch.zeros(2, 19, 8, 8), torch.zeros(2, 19, 8, 8))
        tensor(0.)
    """

    def __init__(self, tau: float = 1.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, above=0)
        self.tau = tau

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence of each sample ``(n)`` or pixel ``(n h w)``."""
        return class_divergence(student, teacher, tau=self.tau)
