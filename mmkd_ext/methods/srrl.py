r"""SRRL: Knowledge Distillation via Softmax Regression Representation Learning.

Yang, Martinez, Bulat, Tzimiropoulos, ICLR 2021, `code
<https://github.com/jingyang2017/KD_SRRL>`_. A feature method: what the student has
learned is judged by the teacher's own classifier, which must give the adapted feature
the teacher's logits; and the mean of each channel follows the teacher's.

Recipe: the last map before pooling, through a 1x1 convolution with batch normalisation
and ReLU (``mmkd_ext.ConvAdapter`` with ``norm=True, act=True``); both terms with weight
1 beside the cross entropy. ImageNet: lr 0.2 at batch 512, 100 epochs. There is no
segmentation in the paper; with a segmentor's classifier, a 1x1 convolution, each pixel
is classified.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from mmkd_ext.errors import check_range, check_shapes
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._classifier import classified
from mmkd_ext.registry import MODELS

__all__ = ['SRRLLoss', 'channel_mean_error', 'reclassified_error']


def channel_mean_error(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Returns the squared difference of the channels' means of each image.

    .. math::
        D_n = \frac{1}{C} \sum_c \left( \frac{1}{H W} \sum_{hw} s_{nchw}
            - \frac{1}{H' W'} \sum_{hw} t_{nchw} \right)^2

    Args:
        student: Features ``(n c h w)``, or their means ``(n c)``.
        teacher: Features ``(n c k l)``, or their means.

    Returns:
        Squared difference of each image ``(n)``.

    Raises:
        ShapeError: Batch or channels differ.

    Examples:
        >>> import torch
        >>> channel_mean_error(torch.eye(2)[None, None], torch.zeros(1, 1, 1, 1))
        tensor([0.2500])
    """
    check_shapes(student=(student, 'n c ...'), teacher=(teacher, 'n c ...'))
    means = (x.flatten(2).mean(2) if x.dim() > 2 else x for x in (student, teacher))
    return squared_error(*means).mean(1)


def reclassified_error(
    student: Tensor, teacher: Tensor, classifier: nn.Module
) -> Tensor:
    r"""Returns the squared difference of the logits that one classifier gives both.

    .. math::
        D_n = \frac{1}{K} \sum_k \left( f(s_n)_k - f(t_n)_k \right)^2

    A linear layer `f` classifies the mean of a map, a 1x1 convolution each pixel, over
    which the mean is taken.

    Args:
        student: Features ``(n c h w)``, or ``(n c)`` for a linear layer.
        teacher: Features of the same channels.
        classifier: The teacher's classifier.

    Returns:
        Squared difference of each image ``(n)``.

    Raises:
        ShapeError: The logits differ in shape, or the classifier is of another width.
        ConfigError: ``classifier`` is no linear layer and no 1x1 convolution.

    Examples:
        >>> import torch
        >>> double = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(double.weight, 2.0)
        >>> reclassified_error(torch.ones(1, 1), torch.zeros(1, 1), double)
        tensor([4.], grad_fn=<MeanBackward1>)
    """
    ours, theirs = (classified(x, classifier) for x in (student, teacher))
    return squared_error(ours, theirs).flatten(1).mean(1)


@MODELS.register_module()
class SRRLLoss(PairLoss):
    r"""Means of the channels, and logits by the teacher's classifier.

    .. math:: L = \frac{1}{N} \sum_n D^{\text{mean}}_n + w D^{\text{logit}}_n

    See :func:`channel_mean_error` and :func:`reclassified_error`. The logits of the
    teacher are those that its classifier gives its feature, so nothing else of it has
    to run; they are its own where no more than pooling and dropout stand between.

    The classifier itself is tapped, and stays as it is:
    ``classifier=dict(of='teacher', at=dict(type='Module', source='head.fc'))``.

    Args:
        logit_weight: Weight `w` of the logits, >= 0.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    alignable: ClassVar[frozenset[str]] = frozenset({'size'})

    def __init__(self, logit_weight: float = 1.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('logit_weight', logit_weight, ge=0)
        self.logit_weight = logit_weight

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, classifier: nn.Module
    ) -> Tensor:
        """Returns both terms of each image ``(n)``.

        Args:
            student: Adapted features ``(n c h w)`` or ``(n c)``.
            teacher: Features of the same shape.
            classifier: The teacher's last layer.
        """
        pattern = 'n c h w' if student.dim() == 4 else 'n c'
        check_shapes(student=(student, pattern), teacher=(teacher, pattern))
        error = reclassified_error(student, teacher, classifier)
        return channel_mean_error(student, teacher) + self.logit_weight * error
