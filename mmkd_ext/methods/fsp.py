r"""FSP: A Gift from Knowledge Distillation.

Yim, Joo, Bae, Kim, CVPR 2017, `paper <https://openaccess.thecvf.com/content_cvpr_2017/
html/Yim_A_Gift_From_CVPR_2017_paper.html>`_. A relation method: how the channels at the
begin of a stage go with those at its end, the flow of the solution procedure, follows
the teacher's.

Recipe: the end of each stage, weight 50 in RepDistiller, from which the formula is;
there is no code of the authors. It has two stages: first the student learns from this
loss alone, 30 epochs in RepDistiller, and then from the task alone. In one run: a
schedule that ends on the link, and one that begins in ``calculate_student_loss``.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mmkd_ext.errors import ShapeError, check_shapes
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.functional.pooling import average_grid
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = ['FSPLoss', 'flow_matrix']


def flow_matrix(begin: Tensor, end: Tensor) -> Tensor:
    r"""Returns the mean over positions of the products of channels of two layers.

    .. math:: G_{ncd} = \frac{1}{H W} \sum_i a_{nci} \, b_{ndi}

    Where the layers differ in size, each is first averaged on a grid of the smaller
    height and the smaller width.

    Args:
        begin: Map ``(n c h w)``.
        end: Map ``(n d i j)``.

    Returns:
        Matrix of each sample ``(n c d)``, of any sign.

    Raises:
        ShapeError: A layer is no map, or the batch differs.

    Examples:
        >>> begin = torch.tensor([1.0, 2.0]).reshape(1, 1, 1, 2)
        >>> flow_matrix(begin, torch.tensor([3.0, 4.0]).reshape(1, 1, 1, 2))
        tensor([[[5.5000]]])
    """
    sides = check_shapes(begin=(begin, 'n c h w'), end=(end, 'n d i j'))
    size = min(sides['h'], sides['i']), min(sides['w'], sides['j'])
    one, other = (average_grid(layer, size).flatten(2) for layer in (begin, end))
    return one @ other.transpose(1, 2) / one.shape[2]


@MODELS.register_module()
class FSPLoss(PairLoss):
    r"""Squared difference of the flow between consecutive layers, a mean each, summed.

    .. math:: L = \sum_{l=1}^{L-1} \operatorname{mse} \left(
        G(F^S_l, F^S_{l+1}), G(F^T_l, F^T_{l+1}) \right)

    See :func:`flow_matrix`. Both sides are pyramids of at least two levels. Their sizes
    may differ; channels that differ, which the paper has not, are brought together by a
    learned 1x1 convolution for each level.

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> student = torch.ones(1, 2, 4, 4), torch.ones(1, 3, 2, 2)
        >>> FSPLoss()(student, tuple(2 * level for level in student))
        tensor(9.)
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'channels'})
    any_shape: ClassVar[frozenset[str]] = frozenset({'size'})

    def compute_levels(  # type: ignore[override]
        self, levels: list[tuple[Tensor, Tensor]]
    ) -> list[Tensor]:
        """Returns the error of each element of each pair of levels ``(n c d)``.

        Raises:
            ShapeError: There is one level only, or an axis differs.
        """
        if len(levels) < 2:
            raise ShapeError(
                '`FSPLoss` compares how one layer leads to the next, so it takes a '
                "pyramid of two levels or more; tap several layers, as at='backbone'."
            )
        for student, teacher in levels:
            check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c i j'))
        one, other = (list(map(flow_matrix, s, s[1:])) for s in zip(*levels))
        return list(map(squared_error, one, other))

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Raises, because one level has no next one."""
        return torch.stack(self.compute_levels([(student, teacher)]))
