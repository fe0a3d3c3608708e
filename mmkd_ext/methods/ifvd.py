r"""IFVD: Intra-class Feature Variation Distillation for Semantic Segmentation.

Wang, Zhou, Jiang, Bai, Xu, ECCV 2020, `paper
<https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123520341.pdf>`_. A relation
method: how far each pixel's feature is from the centre of its class, in cosine, follows
the teacher.

Recipe: feature after the pyramid pooling, weight 200 (authors' code; 20 in CIRKD's),
with pixel-wise KD and an adversarial term of weight 0.001 as in SKDS. Their KD of
weight 10 is a mean over pixels and classes, so 10/19 of
:class:`~mmkd_ext.methods.KDLoss` for the 19 classes of Cityscapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.errors import check_integer, check_shapes
from mmkd_ext.functional.direction import unit_vectors
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._labels import labels_at
from mmkd_ext.registry import MODELS

__all__ = ['IFVDLoss', 'class_similarity']


def class_similarity(feature: Tensor, labels: Tensor, *, num_classes: int) -> Tensor:
    r"""Returns the cosine between each position and the centre of its class.

    .. math::
        V_i = \cos(x_i, \mu_{y_i}), \quad
        \mu_k = \frac{1}{|\{j : y_j = k\}|} \sum_{j : y_j = k} x_j

    with the centres of each image, through which gradients flow. The authors' loop over
    the classes is here two matrix products.

    Args:
        feature: Features ``(n c h w)``.
        labels: Class of each position, an integer, ``(n h w)``. Those outside of ``0``
            to ``num_classes - 1``, such as 255, belong to no class.
        num_classes: Number of classes, >= 1.

    Returns:
        Cosine at each position, from -1 to 1, ``(n h w)``; 1, without a gradient, where
        there is no class.

    Raises:
        ShapeError: Batch or size differ between ``feature`` and ``labels``.
        ConfigError: ``num_classes`` is below 1.

    Examples:
        >>> import torch
        >>> x = torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(1, 2, 1, 2)
        >>> class_similarity(x, torch.zeros(1, 1, 2, dtype=torch.long), num_classes=19)
        tensor([[[0.7071, 0.7071]]])
    """
    check_shapes(feature=(feature, 'n c h w'), labels=(labels, 'n h w'))
    check_integer('num_classes', num_classes, ge=1)
    x, y = feature.flatten(2), labels.flatten(1)
    known = (y >= 0) & (y < num_classes)
    # positions of no class go to a class of their own, whose products are not used
    index = y.masked_fill(~known, num_classes).long()
    members = F.one_hot(index, num_classes + 1).to(x.dtype)
    # sums, for a centre's length does not change a cosine
    sums = x @ members
    centres = unit_vectors(sums, sums.norm(dim=1, keepdim=True))
    products = (centres.transpose(1, 2) @ x).gather(1, index.unsqueeze(1)).squeeze(1)
    cosine = unit_vectors(products, x.norm(dim=1))
    return cosine.masked_fill(~known, 1).reshape(labels.shape)


@MODELS.register_module()
class IFVDLoss(PairLoss):
    """Squared difference of the cosines to the class centres, a mean over pixels.

    See :func:`class_similarity`. Pixels that the ground truth ignores count as equal
    and stay in the mean, as in the authors' code.

    Args:
        num_classes: Number of classes. Labels beyond, such as 255, are ignored.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> truth = torch.zeros(1, 8, 8, dtype=torch.long)
        >>> samples = [SimpleNamespace(gt_sem_seg=SimpleNamespace(data=truth))]
        >>> student, teacher = torch.ones(1, 3, 4, 4), torch.ones(1, 5, 4, 4)
        >>> IFVDLoss(19)(student, teacher, data_samples=samples)
        tensor(0.)
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def __init__(self, num_classes: int, **policy: Any) -> None:
        super().__init__(**policy)
        check_integer('num_classes', num_classes, ge=1)
        self.num_classes = num_classes

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, data_samples: Sequence[Any]
    ) -> Tensor:
        """Returns the squared difference at each position ``(n h w)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
        labels = labels_at(data_samples, student)
        return squared_error(
            *(
                class_similarity(x, labels, num_classes=self.num_classes)
                for x in (student, teacher)
            )
        )
