r"""FitNets: Hints for Thin Deep Nets.

Romero et al., ICLR 2015, `arXiv 1412.6550 <https://arxiv.org/abs/1412.6550>`_. A
feature method: a regressor maps the student's feature onto the teacher's, and both
learn to make the squared difference small.

Recipe: joint training as in RepDistiller (CRD, ICLR 2020): mean squared error, weight
100 on CIFAR-100; weight 10 for segmentation as in CIRKD, on the feature before the
classifier. Tap features before their activation where the network allows it. The
regressor is a 1x1 convolution that alignment adds where channels differ, or a
``mmkd_ext.ConvAdapter`` of your choice; one that ends in a ReLU cannot reach a negative
target.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = ['FitNetsLoss']


@MODELS.register_module()
class FitNetsLoss(PairLoss):
    r"""Squared difference of the features, a mean over all elements.

    .. math:: L = \frac{1}{N C H W} \sum (r(F^S) - F^T)^2

    Vectors ``(n c)`` and tokens ``(n l c)`` are features too.

    mmrazor's ``L2Loss`` divides each sample by its norm and sums by default;
    ``normalize=False, div_element=True`` makes it equal to this.

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> student, teacher = torch.ones(2, 8, 4, 4), torch.zeros(2, 8, 4, 4)
        >>> FitNetsLoss(loss_weight=10.0)(student, teacher)
        tensor(10.)
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels', 'size'})
    takes_vectors: ClassVar[bool] = True

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the squared differences ``(n ...)``."""
        return squared_error(student, teacher)
