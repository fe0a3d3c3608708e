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

from typing import TYPE_CHECKING, Any, ClassVar

from mmkd_ext.errors import check_integer, check_shapes
from mmkd_ext.functional.class_similarity import class_similarity
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._labels import labels_at
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ['IFVDLoss']


@MODELS.register_module()
class IFVDLoss(PairLoss):
    r"""Squared difference of the cosines to the class centres, a mean over pixels.

    .. math::
        L = \frac{1}{N H W} \sum_{n,i} (V^S_{ni} - V^T_{ni})^2, \quad
        V_{ni} = \cos(x_{ni}, \mu_{n y_{ni}})

    ``mu`` are the mean features of each class in each image; gradients flow through
    them. Pixels that the ground truth ignores count as equal and stay in the mean, as
    in the authors' code. Its loop over the classes is here two matrix products.

    Args:
        num_classes: Number of classes. Labels beyond, such as 255, are ignored.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

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
        check_integer('num_classes', num_classes, low=1)
        self.num_classes = num_classes

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, data_samples: Sequence[Any]
    ) -> Tensor:
        """Returns the squared difference at each position ``(n h w)``.

        Args:
            student: Feature ``(n c h w)``.
            teacher: Feature ``(n d h w)``.
            data_samples: For each image an object with ``gt_sem_seg.data``.
        """
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
        labels = labels_at(data_samples, student)
        return squared_error(
            *(
                class_similarity(x, labels, num_classes=self.num_classes)
                for x in (student, teacher)
            )
        )
