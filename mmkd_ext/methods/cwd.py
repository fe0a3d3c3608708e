r"""CWD: Channel-wise Knowledge Distillation for Dense Prediction.

Shu, Liu, Gao, Yan, Shen, ICCV 2021, `arXiv 2011.13256
<https://arxiv.org/abs/2011.13256>`_. A distribution method: each channel's activation
becomes a distribution over the positions, and the student's follows the teacher's.

Recipe: segmentation logits at ``decode_head.conv_seg``, ``tau=4``, weight 3; features
weight 35 to 50 (50 with ``tau=4`` in CIRKD's code); detection necks weight 5 to 10 a
level, ``tau=1``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.functional.divergence import softmax_divergence
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = ['CWDLoss', 'channel_divergence']


def channel_divergence(student: Tensor, teacher: Tensor, *, tau: float = 1.0) -> Tensor:
    r"""Returns the KL divergence between the spatial distributions of each channel.

    .. math::
        D_{nc} = \tau^2 \sum_i p_{nci} \log \frac{p_{nci}}{q_{nci}}, \quad
        p = \operatorname{softmax}_{hw}(t / \tau), \;
        q = \operatorname{softmax}_{hw}(s / \tau)

    Args:
        student: Activations or logits ``(n c h w)``.
        teacher: Activations or logits ``(n c h w)``.
        tau: Temperature, > 0; a higher one spreads the distributions.

    Returns:
        Divergence of each channel in nats, times ``tau**2``, ``(n c)``, never
        negative.

    Raises:
        ShapeError: An axis differs between ``student`` and ``teacher``.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> import torch
        >>> x = torch.zeros(2, 3, 4, 4)
        >>> channel_divergence(x, x).shape
        torch.Size([2, 3])
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
    check_range('tau', tau, gt=0)
    return softmax_divergence(student.flatten(2), teacher.flatten(2), tau, dim=2)


@MODELS.register_module()
class CWDLoss(PairLoss):
    """KL divergence of each channel's spatial distribution, a mean over channels.

    See :func:`channel_divergence`. Equals mmrazor's ``ChannelWiseDivergence`` where
    that works. Unlike it, channels must agree, any memory format is accepted, and the
    teacher is detached.

    Args:
        tau: Temperature, > 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})

    def __init__(self, tau: float = 1.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        self.tau = tau

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence of each channel ``(n c)``."""
        return channel_divergence(student, teacher, tau=self.tau)
