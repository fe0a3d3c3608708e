"""How alike the positions of a class are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from mmkd_ext.errors import check_integer, check_shapes
from mmkd_ext.functional._direction import directed

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['class_similarity']


def class_similarity(feature: Tensor, labels: Tensor, *, num_classes: int) -> Tensor:
    r"""Returns the cosine between each position and the centre of its class.

    .. math::
        V_i = \cos(x_i, \mu_{y_i}), \quad
        \mu_k = \frac{1}{|\{j : y_j = k\}|} \sum_{j : y_j = k} x_j

    The intra-class variation of `Intra-class Feature Variation Distillation for
    Semantic Segmentation, ECCV 2020
    <https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123520341.pdf>`_, with the
    centres of each image. The authors' code loops over the classes with masks as large
    as the feature; here the centres, and the products of all positions with all
    centres, are one matrix product each.

    Args:
        feature: Features ``(n c h w)``.
        labels: Class of each position, an integer, ``(n h w)``. Those outside of ``0``
            to ``num_classes - 1``, such as 255, belong to no class.
        num_classes: Number of classes, >= 1.

    Returns:
        Cosine at each position, from -1 to 1, ``(n h w)``; 1, without a gradient, where
        there is no class: such a position is its own centre.

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
    check_integer('num_classes', num_classes, low=1)
    x, y = feature.flatten(2), labels.flatten(1)
    known = (y >= 0) & (y < num_classes)
    # positions of no class go to a class of their own, whose products are not used
    index = y.masked_fill(~known, num_classes).long()
    members = F.one_hot(index, num_classes + 1).to(x.dtype)
    # sums, for a centre's length does not change a cosine
    sums = x @ members
    centres = directed(sums, sums.norm(dim=1, keepdim=True))
    products = (centres.transpose(1, 2) @ x).gather(1, index.unsqueeze(1)).squeeze(1)
    cosine = directed(products, x.norm(dim=1))
    return cosine.masked_fill(~known, 1).reshape(labels.shape)
