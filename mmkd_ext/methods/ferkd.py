r"""FerKD: Surgical Label Adaptation for Efficient Distillation.

Shen, ICCV 2023, `arXiv 2312.17473 <https://arxiv.org/abs/2312.17473>`_. A response
method: what the teacher gives the class of the label tells how hard a crop is. Crops
that are too hard, of which the label is likely wrong, and too easy ones are dropped;
those on which the teacher is unsure get their own label, softened; the rest get the
teacher's soft label. One cross entropy is the whole loss.

Recipe: ``calculate_student_loss=False``, no temperature, stored predictions (``mmkd
store``) and ``mmkd_ext.SelfMix``. Inspired by the paper: the code of its training is
not public and its thresholds are not known to us. Ours are those thresholds, that the
score is the probability of the label's class, that `eps` is spread evenly over the
other classes, and the mean over what is kept. The paper has no segmentation;
``mmkd_ext.FerKDPixelLoss`` takes each labelled pixel as a crop.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._labels import (
    Classes,
    LabelledPixels,
    LabelledPixelsLoss,
    check_classes,
    class_indices,
)
from mmkd_ext.registry import MODELS

__all__ = ['FerKDLoss', 'FerKDPixelLoss', 'calibrated_labels']


def calibrated_labels(
    teacher: Tensor,
    labels: Tensor,
    *,
    low: float,
    middle: float,
    top: float,
    eps: float,
) -> tuple[Tensor, Tensor]:
    r"""Returns what is learned from each sample, and which samples count.

    With the teacher's softmax `p` and the class `c` of the label, a sample counts where
    :math:`T_L \le p_c \le T_T`, and its target is

    .. math::
        \begin{cases}
        1 - \epsilon \text{ for } c, \; \epsilon / (K - 1) \text{ for each other class}
        & p_c < T_M \\
        p & p_c \ge T_M
        \end{cases}

    Args:
        teacher: Logits ``(n k)`` of two classes or more.
        labels: Index of the class of each row ``(n)``. Not checked.
        low: :math:`T_L`: what is below is too hard.
        middle: :math:`T_M`: what is below is learned from its label.
        top: :math:`T_T`: what is above is too easy.
        eps: :math:`\epsilon`, what a softened label leaves to the other classes.

    Returns:
        Targets ``(n k)``, which sum up to 1, and whether each sample counts ``(n)``.

    Raises:
        ShapeError: There is not one label for each row.

    Examples:
        >>> teacher = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.1, 0.9]]).log()
        >>> settings = dict(low=0.2, middle=0.5, top=0.95, eps=0.1)
        >>> targets, counts = calibrated_labels(
        ...     teacher, torch.tensor([0, 0, 0]), **settings
        ... )
        >>> targets[:2], counts
        (tensor([[0.9000, 0.1000],
                [0.9000, 0.1000]]), tensor([ True,  True, False]))
    """
    sizes = check_shapes(teacher=(teacher, 'n k'), labels=(labels, 'n'))
    p, own = teacher.softmax(1), labels.unsqueeze(1)
    score = p.gather(1, own)
    others = torch.full_like(p, eps / (sizes['k'] - 1))
    hard = others.scatter(1, own, 1 - eps)
    targets = torch.where(score < middle, hard, p)
    return targets, ((score >= low) & (score <= top)).squeeze(1)


class _CalibratedLabels(PairLoss):
    """Base of both: rows ``(n k)`` with their labels to cross entropies."""

    def __init__(
        self,
        low: float = 0.05,
        middle: float = 0.3,
        top: float = 0.999,
        *,
        eps: float = 0.1,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_range('low', low, ge=0, le=1)
        check_range('middle', middle, ge=low, le=1)
        check_range('top', top, ge=middle, le=1)
        check_range('eps', eps, ge=0, le=1)
        self.low, self.middle, self.top, self.eps = low, middle, top, eps

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where there is one class only."""
        check_classes(student)

    def _of_rows(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        settings = {k: getattr(self, k) for k in ('low', 'middle', 'top', 'eps')}
        targets, counts = calibrated_labels(teacher, labels, **settings)
        items = -(targets[counts] * student[counts].log_softmax(1)).sum(1)
        return LabelledPixels(counts, labels[counts]).spread(items)


@MODELS.register_module()
class FerKDLoss(_CalibratedLabels):
    r"""Cross entropy with calibrated labels, a mean over the samples that count.

    .. math:: L = \frac{1}{|B|} \sum_{n \in B} \sum_k -t_{nk} \log q_{nk}

    with the targets `t` and the samples `B` that count of :func:`calibrated_labels`. It
    is a cross entropy, so it is not 0 where both agree. A dropped sample is as one that
    is not in the batch, so thresholds do not change how large a step is; if all are
    dropped the loss is 0, with a gradient of 0. Labels and not the teacher decide the
    class, so mixed labels are refused. With a ``topK`` store a class that is not among
    the first has an even share of the rest as its score, mostly below `low`.

    Args:
        low: Least score of the label's class, in [0, 1]; 0 drops nothing as too hard.
        middle: Below it the label is learned, from `low` to 1.
        top: Largest score, from `middle` to 1; 1 drops nothing as too easy.
        eps: What a softened label leaves to the other classes, in [0, 1].
        policy: See :class:`~mmkd_ext.methods.PairLoss`. The items are all samples, 0
            where they are dropped and scaled so that their ``'mean'`` is one over those
            that count.

    Examples:
        >>> import torch
        >>> x = torch.tensor([[0.2, 0.8], [0.0, 1.0]]).log()
        >>> loss = FerKDLoss(low=0.1, middle=0.5, eps=0.0)
        >>> loss(x, x, labels=torch.tensor([0, 0]))  # -log 0.2; the second is dropped
        tensor(1.6094)
    """

    alignable: ClassVar[frozenset[str]] = frozenset()

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, labels: Classes
    ) -> Tensor:
        """Returns the cross entropy of each sample ``(n)``.

        Args:
            student: Logits ``(n k)``.
            teacher: Logits ``(n k)``.
            labels: Index of the class of each row ``(n)``, or the samples of the batch.
        """
        check_shapes(student=(student, 'n k'), teacher=(teacher, 'n k'))
        self.check_pair(student, teacher)
        return self._of_rows(student, teacher, class_indices(labels, student))


@MODELS.register_module()
class FerKDPixelLoss(_CalibratedLabels, LabelledPixelsLoss):
    """Cross entropy with calibrated labels, a mean over the labelled pixels that count.

    As `FerKDLoss`, with the labelled pixels of the batch as samples. Labels are those
    of the nearest pixel at the size of the logits. The paper has no segmentation: this
    use is ours.

    Args:
        ignore_index: Label of the pixels that are left out, as negative ones are.
        policy: What `FerKDLoss` takes, with pixels in the place of samples.
    """
