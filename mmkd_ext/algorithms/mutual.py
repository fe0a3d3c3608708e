"""Deep mutual learning: students that teach one another while all of them learn.

Zhang, Xiang, Hospedales, Lu, "Deep Mutual Learning", CVPR 2018,
`arXiv 1706.00384 <https://arxiv.org/abs/1706.00384>`_.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmkd_ext.algorithms.teacher_distill import TeacherDistill
from mmkd_ext.distillers.links import STUDENT
from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS

__all__ = ['MutualDistill']


@MODELS.register_module()
class MutualDistill(TeacherDistill):
    r"""Trains `K` students together; each follows its labels and the other students.

    .. math::
        L_k = L_{task} + \frac{1}{K-1} \sum_{l \ne k} D_{KL}(p_l \| p_k)

    The first is `architecture`, called ``'student'`` in links; the others stand in
    `teachers` by name, and each may have an `optimizer` of its own. A student's file
    lies beside each checkpoint, ``iter_100_<name>.pth``.

    All students step at once, after one pass of each. The paper's algorithm updates
    them in turn, each with new predictions of those before, which costs `K` passes of
    all; no gradient flows from one student to another in either.

    Args:
        architecture: As for :class:`TeacherDistill`.
        teachers: The other students: dicts of `model`, `ckpt` and `optimizer`.
        at: The module whose output are the logits, in all of them.
        loss: Config of the loss of each pair, by default `KDLoss` at ``tau=1``.
        target: ``'each'`` compares a student with each other one, weighted with
            ``1 / (K - 1)``; ``'mean'`` with the mean of their probabilities, which the
            paper found worse.
        distiller: Other links instead of these.
        teacher_trainable: Must stay True.
        **distill: Further keys of :class:`TeacherDistill`.

    Raises:
        ConfigError: As :class:`TeacherDistill`; or there is no other student.
    """

    def __init__(
        self,
        architecture: Any,
        teachers: Mapping[str, Mapping[str, Any]],
        at: Any = None,
        *,
        loss: Mapping[str, Any] | None = None,
        target: str = 'each',
        distiller: Any = None,
        teacher_trainable: bool = True,
        **distill: Any,
    ) -> None:
        if distiller is None:
            distiller = _distiller(teachers, at, loss, target)
        if not teacher_trainable:
            what = 'must be True: all students learn.'
            raise ConfigError.at('model.teacher_trainable', what)
        more: dict[str, Any] = {**distill, 'teachers': teachers}
        super().__init__(architecture, distiller, teacher_trainable=True, **more)

    @classmethod
    def complete(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Adds the links, and that all teachers learn."""
        full = {'teacher_trainable': True, **config}
        if full.get('distiller') is None:
            own = [full.pop(key, None) for key in ('at', 'loss', 'target')]
            full['distiller'] = _distiller(full.get('teachers'), *own)
        return full


def _distiller(teachers: Any, at: Any, loss: Any, target: Any) -> dict[str, Any]:
    """Returns the distiller whose links compare all students.

    Examples:
        >>> list(_distiller({'b': {}}, 'head', None, None)['links'])
        ['loss_b_to_student', 'loss_student_to_b']
        >>> list(_distiller({'b': {}, 'c': {}}, 'head', None, 'mean')['links'])
        ['loss_mean_to_student', 'loss_mean_to_b', 'loss_mean_to_c']
    """
    if target not in (None, 'each', 'mean'):
        what = f"must be 'each' or 'mean', but is {target!r}."
        raise ConfigError.at('model.target', what)
    if not isinstance(teachers, Mapping) or not teachers:
        what = f'must be a dict of the other students, but is {teachers!r}.'
        raise ConfigError.at('model.teachers', what)
    if at is None:
        what = 'does not say where the logits are.'
        raise ConfigError.at('model.at', what, "Write at='head' or a module's name.")
    loss = {'type': 'mmkd_ext.KDLoss', **(loss or {})}
    taps = {name: {'of': name, 'at': at} for name in (STUDENT, *teachers)}
    links: dict[str, Any] = {}
    for own, tap in taps.items():
        others = {name: other for name, other in taps.items() if name != own}
        if target == 'mean' and len(others) > 1:
            first, *given = others
            mean = {'type': 'mmkd_ext.TeacherMean', 'tau': loss.get('tau', 1.0)}
            given_taps = {name: others[name] for name in given}
            combined = {**others[first], 'connector': mean, 'given': given_taps}
            others = {'mean': combined}
        weight = loss.get('loss_weight', 1.0) / len(others)
        for name, other in others.items():
            links[f'loss_{name}_to_{own}'] = {
                'loss': {**loss, 'loss_weight': weight},
                'preds_S': tap,
                'preds_T': other,
            }
    return {'type': 'mmkd_ext.LinkDistiller', 'links': links}
