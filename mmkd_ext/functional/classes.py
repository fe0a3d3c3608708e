"""Class scores of one set of labels, told in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from mmkd_ext.errors import ShapeError, check_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ['merge_classes', 'merge_logits']


def merge_logits(
    logits: Tensor, groups: Sequence[Sequence[int]], *, sigmoid: bool = False
) -> Tensor:
    r"""Returns logits of merged classes; columns in no group are left out.

    .. math:: z_g = \log \sum_{k \in g} e^{z_k}

    so a softmax over the groups adds up the probabilities of their members, and shares
    what was left out among all in proportion. The scores of a sigmoid are independent,
    and that of a group is that of any of its members:

    .. math:: \sigma(z_g) = 1 - \prod_{k \in g} (1 - \sigma(z_k))

    Both are computed in log space, at temperature 1: probabilities that were softened
    before they are added would grow with the size of the group.

    Args:
        logits: Scores before softmax or sigmoid ``(n k ...)``.
        groups: The columns of each merged class, none twice. A class without any has
            probability 0.
        sigmoid: Whether they are scores of sigmoids.

    Returns:
        Logits ``(n g ...)``.

    Raises:
        ShapeError: A group names a column that is not there.

    Examples:
        >>> merge_logits(torch.zeros(1, 4), [[0], [1, 3]]).exp()
        tensor([[1., 2.]])
    """
    columns = logits.shape[1]
    if max(max(group, default=0) for group in groups) >= columns:
        raise ShapeError(
            f'the classes {[*map(list, groups)]} are to be merged, but logits '
            f'{tuple(logits.shape)} have {columns}.'
        )
    # short groups are filled with one more column, of a class that never is
    width = max(map(len, groups))
    filled = [[*group, *[columns] * (width - len(group))] for group in groups]
    index = torch.tensor(filled, device=logits.device)
    never = torch.full_like(logits[:, :1], -torch.inf)
    members = torch.cat([logits, never], 1)[:, index]
    if not sigmoid:
        return members.logsumexp(2)
    # minus the logarithm of the probability that it is none of them
    none = F.softplus(members).sum(2).clamp_min(torch.finfo(logits.dtype).tiny)
    return none + (-torch.expm1(-none)).log()


def merge_classes(logits: Tensor, class_map: Sequence[int]) -> Tensor:
    """Returns probabilities of merged classes.

    Args:
        logits: Of the network's own classes ``(n k ...)``.
        class_map: For each of the ``k`` outputs the class that it counts as, from 0.

    Returns:
        Sums of the softmax ``(n m ...)``, ``m`` one more than the largest class.

    Raises:
        ShapeError: ``class_map`` has another length than ``k``.

    Examples:
        >>> merge_classes(torch.zeros(1, 4), [0, 1, 1, 1])
        tensor([[0.2500, 0.7500]])
    """
    check_shapes(logits=(logits, 'n k ...'), class_map=(torch.tensor(class_map), 'k'))
    groups: list[list[int]] = [[] for _ in range(max(class_map) + 1)]
    for column, merged in enumerate(class_map):
        groups[merged].append(column)
    return merge_logits(logits, groups).softmax(1)
