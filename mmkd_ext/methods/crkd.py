r"""CR-KD: Class-relation Knowledge Distillation for Novel Class Discovery.

Gu, Zhang, Xu, He, ICCV 2023, `arXiv 2307.09158 <https://arxiv.org/abs/2307.09158>`_. A
response method: while a classifier learns classes without labels, a frozen copy from
before says how its pictures relate to the classes that are known. A picture counts the
more, the more the student itself takes it for one of these.

Recipe: the authors' code has cosine logits divided by 0.1, ``tau=4``, weight 0.1,
beside a discovery by balanced assignments; `projects/novel_classes` has one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from mmkd_ext.errors import ShapeError, check_range, check_shapes
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._labels import Classes, class_indices
from mmkd_ext.registry import MODELS

__all__ = ['CRKDLoss', 'class_relation_entropy']


def class_relation_entropy(
    student: Tensor,
    teacher: Tensor,
    *,
    tau: float = 4.0,
    weight_gradient: bool = True,
) -> Tensor:
    r"""Returns the weighted cross entropy of the relations to the known classes.

    .. math::
        L_n = -\tau^2 \frac{w_n}{\bar w} \sum_{c \le K} p_{nc} \log q_{nc}, \quad
        w_n = \sum_{c \le K} \operatorname{softmax}(s_n / \tau)_c

    with `p` and `q` the softmax of teacher and student over the `K` known classes alone
    at temperature :math:`\tau`, and :math:`\bar w` the mean of the batch. As in the
    authors' code it is the cross entropy, so its least value is not 0.

    Args:
        student: Logits of all classes, the known ones first, ``(n c)``.
        teacher: Logits of the known classes ``(n k)``.
        tau: Temperature, > 0.
        weight_gradient: Whether the gradient goes through `w`, as in the authors' code.
            It then also moves pictures between known and novel classes.

    Returns:
        One value a picture in nats, times ``tau**2``, ``(n)``.

    Raises:
        ShapeError: The student has no more classes than the teacher.
    """
    sizes = check_shapes(student=(student, 'n c'), teacher=(teacher, 'n k'))
    known = sizes['k']
    if known >= sizes['c']:
        raise ShapeError(
            f'`student` {tuple(student.shape)} needs more classes than `teacher` '
            f'{tuple(teacher.shape)}: those that the teacher knows, and the novel ones.'
        )
    logits = student / tau
    log_weight = logits[:, :known].logsumexp(1) - logits.logsumexp(1)
    if not weight_gradient:
        log_weight = log_weight.detach()
    # w over its mean, also where every w underflows
    weight = len(student) * log_weight.softmax(0)
    log_q = logits[:, :known].log_softmax(1)
    return tau**2 * weight * -((teacher / tau).softmax(1) * log_q).sum(1)


@MODELS.register_module()
class CRKDLoss(PairLoss):
    """Relations to the known classes, a mean over the pictures of novel ones.

    See :func:`class_relation_entropy`. The label of a novel class only says that the
    picture is of no known one: which it is has no influence.

    Args:
        tau: Temperature, > 0.
        weight_gradient: See :func:`class_relation_entropy`.
        policy: See :class:`~mmkd_ext.methods.PairLoss`. The items are those of all
            pictures, 0 for known classes and scaled so that their ``'mean'`` is one
            over the novel ones.
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def __init__(
        self, tau: float = 4.0, *, weight_gradient: bool = True, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        self.tau, self.weight_gradient = tau, weight_gradient

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, labels: Classes
    ) -> Tensor:
        """Returns one value a picture ``(n)``.

        Args:
            student: Logits ``(n c)``, the known classes first.
            teacher: Logits of the known classes ``(n k)``.
            labels: Index of the class of each picture ``(n)``, or the samples of the
                batch; from ``k`` on they are novel.
        """
        novel = class_indices(labels, student) >= teacher.shape[1]
        items = class_relation_entropy(
            student[novel],
            teacher[novel],
            tau=self.tau,
            weight_gradient=self.weight_gradient,
        )
        scaled = items * (len(novel) / max(len(items), 1))
        return student.new_zeros(len(novel)).index_put((novel,), scaled)
