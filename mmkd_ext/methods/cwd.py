r"""CWD: Channel-wise Knowledge Distillation for Dense Prediction.

Shu, Liu, Gao, Yan, Shen, ICCV 2021, `arXiv 2011.13256
<https://arxiv.org/abs/2011.13256>`_. A distribution method: each channel's activation
becomes a distribution over the positions, and the student's follows the teacher's.

Recipe: segmentation logits at ``decode_head.conv_seg``, ``tau=4``, weight 3; features
weight 35 to 50 (50 with ``tau=4`` in CIRKD's code); detection necks weight 5 to 10 a
level, ``tau=1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.errors import check_range
from mmkd_ext.functional.divergence import channel_divergence
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['CWDLoss']


@MODELS.register_module()
class CWDLoss(PairLoss):
    r"""KL divergence of each channel's spatial distribution, a mean over channels.

    .. math::
        L = \frac{\tau^2}{N C} \sum_{n,c} \mathrm{KL}(p^T_{nc} \| p^S_{nc}), \quad
        p_{nc} = \operatorname{softmax}_{hw}(F_{nc} / \tau)

    Equals mmrazor's ``ChannelWiseDivergence`` where that works. Unlike it, channels
    must agree, any memory format is taken, and the teacher is detached.

    Args:
        tau: Temperature, > 0.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> CWDLoss(tau=4.0, loss_weight=3.0)(torch.zeros(2, 19, 8, 8),
        ...                                   torch.ones(2, 19, 8, 8))
        tensor(0.)
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(self, tau: float = 1.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, above=0)
        self.tau = tau

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence of each channel ``(n c)``."""
        return channel_divergence(student, teacher, tau=self.tau)
