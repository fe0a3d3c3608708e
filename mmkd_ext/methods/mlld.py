r"""MLLD: Multi-Level Logit Distillation.

Jin, Wang, Lin, CVPR 2023, `code <https://github.com/Jin-Ying/Multi-Level-Logit-Distillation>`_.
A response method on a weakly and a strongly augmented view of each picture, at several
temperatures: the student follows the teacher's scores of each sample (instance), the
similarities between the samples of a batch, and those between the classes.

Recipe: classification, both views in one batch (``mmkd_ext.Views``), the temperatures
4, 3, 5, 2, 6, ``loss_weight=0.9``; the cross entropy 0.1 on each view, which is 0.2 on
the mean of both. ImageNet 0.5 and 0.5. Strong view: RandAugment(2, 10). There is no
segmentation in the paper; on maps each pixel is a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_choice,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.divergence import class_divergence
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._labels import check_classes
from mmkd_ext.registry import MODELS

__all__ = ['MLLDLoss', 'batch_relation_distance', 'class_relation_distance']

_MASKS = ('mean', 'each', 'none')


def batch_relation_distance(
    student: Tensor, teacher: Tensor, *, tau: float = 1.0
) -> Tensor:
    r"""Returns how far the similarities of each sample to all others differ.

    .. math::
        D_i = \sum_j \left( \langle q_i, q_j \rangle - \langle p_i, p_j \rangle
            \right)^2, \quad
        p = \operatorname{softmax}(t / \tau), \; q = \operatorname{softmax}(s / \tau)

    Where there are many more rows than classes, as of pixels, the matrix of all pairs
    is not made: with `P` and `Q` the rows of both,
    :math:`D_i = q_i^\top (Q^\top Q) q_i - 2 q_i^\top (Q^\top P) p_i
    + p_i^\top (P^\top P) p_i`, in float64, since these terms nearly cancel.

    Args:
        student: Logits ``(n c)``.
        teacher: Logits ``(n c)``.
        tau: Temperature, > 0.

    Returns:
        Squared distance of each row, >= 0, ``(n)``.

    Raises:
        ShapeError: An axis differs.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> x = torch.tensor([[99.0, 0.0], [0.0, 99.0]])
        >>> batch_relation_distance(x, torch.zeros(2, 2))
        tensor([0.5000, 0.5000])
    """
    q, p = _softened(student, teacher, tau)
    if len(q) <= 2 * q.shape[1]:
        return (q @ q.T - p @ p.T).square().sum(1)
    q, p = q.double(), p.double()
    apart = (q @ (q.T @ q) - 2 * p @ (p.T @ q)) * q + p @ (p.T @ p) * p
    return apart.sum(1).clamp(min=0).to(student.dtype)


def class_relation_distance(
    student: Tensor, teacher: Tensor, *, tau: float = 1.0
) -> Tensor:
    r"""Returns how far the similarities of each class to all others differ.

    .. math::
        D_k = \sum_l \left( \sum_n q_{nk} q_{nl} - \sum_n p_{nk} p_{nl} \right)^2

    with `p` and `q` as in :func:`batch_relation_distance`.

    Args:
        student: Logits ``(n c)``.
        teacher: Logits ``(n c)``.
        tau: Temperature, > 0.

    Returns:
        Squared distance of each class, >= 0, ``(c)``.

    Raises:
        ShapeError: An axis differs.
        ConfigError: ``tau`` is not positive.

    Examples:
        >>> x = torch.tensor([[99.0, 0.0]])
        >>> class_relation_distance(x, torch.zeros(1, 2))
        tensor([0.6250, 0.1250])
    """
    q, p = _softened(student, teacher, tau)
    return (q.T @ q - p.T @ p).square().sum(1)


def _softened(student: Tensor, teacher: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    check_shapes(student=(student, 'n c'), teacher=(teacher, 'n c'))
    check_range('tau', tau, gt=0)
    return (student / tau).softmax(1), (teacher / tau).softmax(1)


@MODELS.register_module()
class MLLDLoss(PairLoss):
    r"""Instance, batch and class level, of a weak and a strong view.

    The batch holds the views one after the other: its first half are the weak views of
    the pictures, its second half the strong ones in the same order, as
    ``mmkd_ext.Views`` and ``mmkd_ext.views_collate`` make them. With `D` the KL
    divergence times :math:`\tau^2`, `B` and `K` the distances of
    :func:`batch_relation_distance` and :func:`class_relation_distance`,

    .. math::
        L = \sum_\tau \Big[ \bar m \, \overline{D^w_\tau} + \overline{D^s_\tau}
            + \bar m \, \overline{B^w_\tau} + \bar k \, \overline{K^w_\tau} \Big]

    where bars are means, `m` masks the samples and `k` the classes of which the teacher
    is at most as sure as of half of them, on the weak view.

    This is what the released code computes, by which the published figures were got. It
    has three slips, each with a switch here: the masks multiply the terms as the number
    :math:`\bar m`, about 1/2, and leave no sample out (`mask`); the strong view's
    divergences at temperatures 2 and 6 compare the weak view (`slipped`); the relations
    on the strong view are computed, but not used (`strong_relations`).

    On maps each pixel is a sample; there are thousands, so sums over samples are
    divided by their number and multiplied by `samples`, as many as the authors have in
    a batch, and their weights carry over.

    Args:
        temperatures: Temperatures, > 0.
        views: 2, or 1 if all pictures of the batch are weak views.
        mask: ``'mean'`` as released; ``'each'`` leaves out the samples and classes of
            which the teacher is surer; ``'none'`` masks nothing.
        slipped: Temperatures at which the strong view's divergence is that of the weak
            one; ``()`` for none.
        strong_relations: Whether batch and class level are compared on the strong view
            too, without a mask.
        samples: See above, >= 1.
        policy: See :class:`~mmkd_ext.methods.PairLoss`. The items are the samples of
            both views, times the number of views, so that their ``'mean'`` is `L`.

    Examples:
        >>> import torch
        >>> MLLDLoss()(torch.zeros(4, 10), torch.zeros(4, 10))
        tensor(0.)
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'size'})

    def __init__(
        self,
        temperatures: Sequence[float] = (4.0, 3.0, 5.0, 2.0, 6.0),
        *,
        views: int = 2,
        mask: str = 'mean',
        slipped: Sequence[float] = (2.0, 6.0),
        strong_relations: bool = False,
        samples: int = 64,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        if not temperatures:
            raise ConfigError('`temperatures` is empty; give at least one.')
        for tau in temperatures:
            check_range('temperatures', tau, gt=0)
        check_integer('views', views, ge=1, le=2)
        check_choice('mask', mask, _MASKS)
        check_integer('samples', samples, ge=1)
        self.temperatures = tuple(temperatures)
        self.views = views
        self.mask = mask
        self.slipped = frozenset(slipped)
        self.strong_relations = strong_relations
        self.samples = samples

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where there is one class only."""
        check_classes(student)

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the items of each sample ``(n)`` or pixel ``(n h w)``."""
        pattern = 'n c h w' if student.dim() == 4 else 'n c'
        check_shapes(student=(student, pattern), teacher=(teacher, pattern))
        self.check_pair(student, teacher)
        if len(student) % self.views:
            raise ShapeError(
                f'a batch of {len(student)} does not hold two views of each picture. '
                "End the pipeline with dict(type='mmkd_ext.Views', ...), or set "
                '`views=1`.'
            )
        weak, *strong = [
            (_rows(s), _rows(t))
            for s, t in zip(student.chunk(self.views), teacher.chunk(self.views))
        ]
        # the sums over pixels as sums over a batch of classifiers
        share = self.samples / len(weak[0]) if student.dim() == 4 else 1.0
        items = [self._weak(*weak, share)]
        items += [self._strong(weak, one, share) for one in strong]
        spatial = student.shape[2:]
        return self.views * torch.cat(items).reshape(len(student), *spatial)

    def _weak(self, student: Tensor, teacher: Tensor, share: float) -> Tensor:
        """Items of the weak view ``(m)``."""
        scores = teacher.detach().softmax(1)
        samples = self._masked(scores.max(1).values)
        classes = self._masked(scores.sum(0))
        items = self._summed(class_divergence, student, teacher)
        relations = self._relations(student, teacher, samples, classes, share)
        return items * samples + relations

    def _strong(
        self, weak: tuple[Tensor, Tensor], strong: tuple[Tensor, Tensor], share: float
    ) -> Tensor:
        """Items of the strong view ``(m)``."""
        items = torch.stack(
            [
                class_divergence(*(weak if tau in self.slipped else strong), tau=tau)
                for tau in self.temperatures
            ]
        ).sum(0)
        if self.strong_relations:
            one = items.new_ones(())
            items = items + self._relations(*strong, one, one, share)
        return items

    def _relations(
        self,
        student: Tensor,
        teacher: Tensor,
        samples: Tensor,
        classes: Tensor,
        share: float,
    ) -> Tensor:
        """Batch and class level of one view; the latter is the same for each sample.

        Args:
            student: Logits ``(m c)``.
            teacher: Logits ``(m c)``.
            samples: What each sample counts, ``(m)`` or one number.
            classes: What each class counts, ``(c)`` or one number.
            share: What a sum over samples is multiplied with.
        """
        batch = self._summed(batch_relation_distance, student, teacher)
        classwise = self._summed(class_relation_distance, student, teacher)
        return batch * samples * share + (classwise * classes).mean() * share**2

    def _summed(
        self, distance: Callable[..., Tensor], student: Tensor, teacher: Tensor
    ) -> Tensor:
        """Sum of a distance over the temperatures."""
        values = [distance(student, teacher, tau=tau) for tau in self.temperatures]
        return torch.stack(values).sum(0)

    def _masked(self, sureness: Tensor) -> Tensor:
        """How much each one counts, of which the teacher is sure to this extent."""
        if self.mask == 'none':
            return sureness.new_ones(())
        unsure = (sureness <= sureness.quantile(0.5)).to(sureness.dtype)
        return unsure if self.mask == 'each' else unsure.mean()


def _rows(x: Tensor) -> Tensor:
    """Samples or pixels as rows ``(m c)``."""
    return x.permute(0, 2, 3, 1).flatten(0, 2) if x.dim() == 4 else x
