r"""AT: Paying More Attention to Attention.

Zagoruyko, Komodakis, ICLR 2017, `arXiv 1612.03928 <https://arxiv.org/abs/1612.03928>`_.
A feature method: where the student's map is active follows the teacher's, whatever the
channels are.

Recipe: classification, the end of each stage, ``p=2``, weight 1000 in RepDistiller;
segmentation, weight 10000 in CIRKD, with pixel-wise KD of weight 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.errors import check_range
from mmkd_ext.functional.attention_transfer import attention_distance
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['ATLoss']


@MODELS.register_module()
class ATLoss(PairLoss):
    r"""Squared difference of the attention maps, a mean over positions.

    .. math::
        L = \frac{1}{N H W} \sum_{n,i} \left( \frac{Q^S_{ni}}{\lVert Q^S_n \rVert_2}
            - \frac{Q^T_{ni}}{\lVert Q^T_n \rVert_2} \right)^2, \quad
        Q_{ni} = \sum_c |x_{nci}|^p

    Equals mmrazor's ``ATLoss`` for ``p=2``. Attention of one image has length 1, so the
    mean falls with the size of the map: a weight belongs to an output stride.

    Args:
        p: Power of the activations, >= 1.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> ATLoss()(torch.ones(1, 2, 2, 2), torch.ones(1, 5, 2, 2))
        tensor(0.)
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def __init__(self, p: float = 2.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('p', p, low=1)
        self.p = p

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the squared difference at each position ``(n h w)``."""
        return attention_distance(student, teacher, p=self.p)
