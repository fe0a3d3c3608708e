r"""SSKD: Knowledge Distillation Meets Self-Supervision.

Xu, Liu, Li, Loy, ECCV 2020, `arXiv 2006.07114 <https://arxiv.org/abs/2006.07114>`_. A
relation method in two stages on four views of each picture, turned by 0, 90, 180 and
270 degrees. First a head on the frozen teacher learns to tell of which picture a turned
view is (`SSKDHeadLoss`). Then the student follows how similar the teacher finds each
turned view to each picture (`SSKDSimilarityLoss`) and its scores of the turned views
(`SSKDTransformedLoss`), where the teacher is not too wrong.

Recipe: the batch holds the views one after the other (``mmkd_ext.Views`` with
``mmkd_ext.QuarterTurns``). Stage one 60 epochs, lr 0.05, divided by 10 at 30 and 45.
Stage two 240 epochs as RepDistiller: cross entropy 0.1 and KD 0.9 at ``tau=4`` on the
first view alone, transformed views 2.7 at ``tau=4, keep=1``, similarity 10 at
``tau=0.5, keep=0.75``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from mmkd_ext.checkpoint import read_checkpoint, weights_of
from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    ShapeError,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.divergence import softmax_divergence
from mmkd_ext.methods._base import PairLoss, StudentLoss, at_least_float32
from mmkd_ext.methods._identity import KnowsTeacher
from mmkd_ext.methods._labels import Classes, class_indices
from mmkd_ext.methods._stages import differ, stage_one_file
from mmkd_ext.registry import MODELS

__all__ = [
    'SSKDHead',
    'SSKDHeadLoss',
    'SSKDPlainLoss',
    'SSKDSimilarityLoss',
    'SSKDTaskLoss',
    'SSKDTeacherHead',
    'SSKDTransformedLoss',
    'kept_by_rank',
    'view_similarity',
]

VIEWS = 4


def view_similarity(features: Tensor) -> Tensor:
    r"""Returns the cosine of each turned view with each picture as it is.

    .. math::
        S_{rb} = \frac{\langle x_{B + r}, x_b \rangle}
                      {\lVert x_{B + r} \rVert \lVert x_b \rVert}, \quad
        0 \le r < 3 B, \; 0 \le b < B

    Args:
        features: Features of four views ``(4 b d)``, the first of all pictures before
            the second of all. Row `r` of the result is of picture ``r % b``.

    Returns:
        Similarities ``(3 b, b)``, from -1 to 1.

    Raises:
        ShapeError: The features are no rows, or not of four views.

    Examples:
        >>> turned = [[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]]
        >>> view_similarity(torch.tensor([[1.0, 0.0], *turned]))
        tensor([[0.],
                [1.],
                [0.]])
    """
    check_shapes(features=(features, 'n d'))
    pictures = _pictures(features)
    units = F.normalize(features, dim=1)
    return units[pictures:] @ units[:pictures].T


def kept_by_rank(scores: Tensor, targets: Tensor, *, keep: float = 1.0) -> Tensor:
    r"""Returns which rows stay: the right ones, and of the wrong ones the least wrong.

    The rank of a row is how many entries are higher than that of its target. Rows of
    rank 0 are right; of the others the ``floor(keep * number)`` of the lowest ranks
    stay, of equal ranks the first.

    Args:
        scores: Scores of the teacher ``(n c)``.
        targets: Index of the right entry of each row ``(n)``.
        keep: Share of the wrong rows that stays, in [0, 1].

    Returns:
        Whether each row stays ``(n)``.

    Raises:
        ShapeError: There is not one target for each row.
        ConfigError: ``keep`` is no share.

    Examples:
        >>> scores = torch.tensor([[3.0, 2.0, 1.0]] * 3)
        >>> kept_by_rank(scores, torch.tensor([2, 0, 1]), keep=0.5)
        tensor([False,  True,  True])
    """
    check_shapes(scores=(scores, 'n c'), targets=(targets, 'n'))
    check_range('keep', keep, ge=0, le=1)
    own = scores.gather(1, targets.unsqueeze(1))
    ranks = (scores > own).sum(1)
    order = ranks.argsort(stable=True)
    right = (ranks == 0).sum()
    # in float64, where the product with a share of few digits is exact enough
    staying = right + (keep * (len(ranks) - right).double()).floor()
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    return places < staying


def _pictures(rows: Tensor) -> int:
    """Number of pictures, each of which has four views."""
    if len(rows) % VIEWS:
        raise ShapeError(
            f'a batch of {len(rows)} does not hold four views of each picture. End the '
            "pipeline with dict(type='mmkd_ext.Views', ...) and a "
            "dict(type='mmkd_ext.QuarterTurns', turns=...) in each view."
        )
    return len(rows) // VIEWS


def _spread(items: Tensor, kept: Tensor, pictures: int) -> Tensor:
    """Items of the turned views as those of all, whose mean is that of the kept."""
    rows = VIEWS * pictures
    scale = rows / kept.sum().clamp(min=1).to(items.dtype)
    items = torch.where(kept, items * scale, items.new_zeros(()))
    return torch.cat([items.new_zeros(pictures), items])


@MODELS.register_module()
class SSKDHead(nn.Module):
    """The self-supervised head: two linear layers as wide as the feature.

    The student's is a connector, ``connector=dict(type='mmkd_ext.SSKDHead', ...)``.

    Args:
        channels: Width of the feature.

    Examples:
        >>> SSKDHead(8)(torch.zeros(4, 8, 2, 2)).shape
        torch.Size([4, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        check_integer('channels', channels, ge=1)
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels)
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Returns what a feature ``(n channels)`` becomes; maps are averaged.

        Raises:
            ShapeError: The feature has another width.
        """
        if feature.dim() == 4:
            feature = feature.mean((2, 3))
        if feature.dim() != 2 or feature.shape[1] != self.channels:
            raise ShapeError(
                f'`{type(self).__name__}` takes (n {self.channels}), but got '
                f'{tuple(feature.shape)}; set its `channels`.'
            )
        made: Tensor = self.layers(feature)
        return made


@MODELS.register_module()
class SSKDTeacherHead(SSKDHead, KnowsTeacher):
    """The teacher's head: learned in stage one, frozen in stage two.

    In stage two it is a connector on the teacher's side that loads the checkpoint of
    stage one; a teacher of other weights is refused. Without `stage_one` and
    `checkpoint` its weights stay random: in stage one, where `SSKDHeadLoss` has it, and
    in tests.

    Args:
        channels: Width of the teacher's feature.
        stage_one: Config of stage one, whose last checkpoint is taken.
        checkpoint: A checkpoint of stage one, or the folder of its run, if it is not
            where the config writes.

    Raises:
        CheckpointError: There is no checkpoint, no such head in it, or one of another
            width.
    """

    teacher_mark: Tensor

    def __init__(
        self,
        channels: int,
        *,
        stage_one: str | None = None,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__(channels)
        self.register_buffer('teacher_mark', torch.zeros(16, dtype=torch.uint8))
        self._file = 'the checkpoint'
        if stage_one is not None or checkpoint is not None:
            self._file = stage_one_file(
                checkpoint, stage_one, who='SSKDTeacherHead', what="teacher's head"
            )
            self._load(self._file)
            self.requires_grad_(False)

    def bind_teacher(self, fingerprint: Tensor) -> None:
        """Stores the teacher's fingerprint, or compares it with that of stage one.

        Raises:
            CheckpointError: The head was trained on another teacher.
        """
        if differ(self.teacher_mark, fingerprint):
            raise CheckpointError(
                f'the head in {self._file!r} has learned on a teacher of other weights '
                'than this one. Train it on this teacher (stage one), or give the '
                'teacher that it was trained on.'
            )
        self.teacher_mark.copy_(fingerprint)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        if differ(state_dict.get(f'{prefix}teacher_mark'), self.teacher_mark):
            raise CheckpointError(
                f'the head `{prefix[:-1]}` in the checkpoint has learned on a teacher '
                'of other weights than this one. Resume with that teacher, or start '
                'anew.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _load(self, file: str) -> None:
        state = weights_of(read_checkpoint(file))
        name = 'teacher_mark'
        prefixes = [
            key[: -len(name)]
            for key in state
            if key.endswith(name) and f'{key[: -len(name)]}layers.2.weight' in state
        ]
        if len(prefixes) != 1:
            raise CheckpointError(
                f"{file!r} has {len(prefixes) or 'no'} teacher's heads in it, but "
                '`SSKDTeacherHead` needs the checkpoint of one `SSKDHeadLoss`.'
            )
        (prefix,) = prefixes
        own = {k: state[f'{prefix}{k}'] for k in self.state_dict()}
        width = own['layers.0.weight'].shape[0]
        if width != self.channels:
            raise CheckpointError(
                f'{file!r} has a head for {width} channels, but `SSKDTeacherHead` was '
                f'given {self.channels}; set `channels` as in stage one.'
            )
        self.load_state_dict(own)
        print_log(f'`SSKDTeacherHead` reads {file!r}.', logger='current')


@MODELS.register_module()
class SSKDHeadLoss(StudentLoss):
    r"""Stage one: of which picture is a turned view? A mean over the turned views.

    .. math:: L = -\frac{1}{3 B} \sum_r \log \operatorname{softmax}(S_r)_{r \bmod B}

    with :func:`view_similarity`, without a temperature. The head is part of the loss,
    so one link trains it, on the teacher's feature and with
    ``student_trainable=False``, ``calculate_student_loss=False``:
    ``features=dict(of='teacher', at=...)``.

    Args:
        channels: Width of the teacher's feature.
        policy: `loss_weight` and `reduction`, see :class:`~mmkd_ext.methods.PairLoss`.
    """

    def __init__(self, channels: int, **policy: Any) -> None:
        super().__init__(**policy)
        self.head = SSKDTeacherHead(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the weighted loss of the teacher's features of four views."""
        with torch.autocast(features.device.type, enabled=False):
            made = self.head(at_least_float32(features.detach()))
            similarity = view_similarity(made)
            targets = _origins(similarity)
            items = F.cross_entropy(similarity, targets, reduction='none')
            return self.finish(items)


def _origins(similarity: Tensor) -> Tensor:
    """The picture of each turned view ``(3 b)``."""
    rows, pictures = similarity.shape
    return torch.arange(rows, device=similarity.device) % pictures


@MODELS.register_module()
class SSKDSimilarityLoss(PairLoss):
    r"""Divergence of the similarities, where the teacher is not too wrong.

    .. math::
        L = \frac{\tau^2}{|R|} \sum_{r \in R}
            \operatorname{KL}\big( \operatorname{softmax}(S^T_r / \tau) \,\Vert\,
            \operatorname{softmax}(S^S_r / \tau) \big)

    with :func:`view_similarity` of what the heads return, and `R` the turned views that
    :func:`kept_by_rank` keeps of the teacher's similarities.

    Args:
        tau: Temperature, > 0.
        keep: Share of the wrong rows that stays, in [0, 1].
        policy: See :class:`~mmkd_ext.methods.PairLoss`. The items are those of all
            views, 0 where they are left out and scaled so that their ``'mean'`` is one
            over `R`.
    """

    alignable: ClassVar[frozenset[str]] = frozenset()
    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def __init__(self, tau: float = 0.5, keep: float = 0.75, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        check_range('keep', keep, ge=0, le=1)
        self.tau, self.keep = tau, keep

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence of each view ``(n)``.

        Args:
            student: Features behind the student's head ``(n c)``.
            teacher: Features behind the teacher's head ``(n d)``.
        """
        check_shapes(student=(student, 'n c'), teacher=(teacher, 'n d'))
        ours, theirs = view_similarity(student), view_similarity(teacher)
        kept = kept_by_rank(theirs, _origins(theirs), keep=self.keep)
        items = softmax_divergence(ours, theirs, self.tau, dim=1)
        return _spread(items, kept, ours.shape[1])


@MODELS.register_module()
class SSKDPlainLoss(PairLoss):
    """Divergence of the scores of the pictures as they are: KD of the first view alone.

    KL divergence times ``tau**2``, a mean over the pictures.

    Args:
        tau: Temperature, > 0.
        policy: As for `SSKDSimilarityLoss`.
    """

    alignable: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, tau: float = 4.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        self.tau = tau

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the divergence of each view ``(n)``, 0 for the turned ones.

        Args:
            student: Logits of four views ``(n c)``.
            teacher: Logits ``(n c)``.
        """
        check_shapes(student=(student, 'n c'), teacher=(teacher, 'n c'))
        first = _pictures(student)
        items = softmax_divergence(student[:first], teacher[:first], self.tau, dim=1)
        turned = items.new_zeros((VIEWS - 1) * first)
        return torch.cat([VIEWS * items, turned])


@MODELS.register_module()
class SSKDTransformedLoss(PairLoss):
    """Divergence of the scores of the turned views, where the teacher is not too wrong.

    KL divergence times ``tau**2``, a mean over the turned views that
    :func:`kept_by_rank` keeps of the teacher's logits.

    Args:
        tau: Temperature, > 0.
        keep: Share of the wrong rows that stays, in [0, 1]; 1 needs no labels.
        policy: As for `SSKDSimilarityLoss`.
    """

    alignable: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, tau: float = 4.0, keep: float = 1.0, **policy: Any) -> None:
        super().__init__(**policy)
        check_range('tau', tau, gt=0)
        check_range('keep', keep, ge=0, le=1)
        self.tau, self.keep = tau, keep

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, labels: Classes | None = None
    ) -> Tensor:
        """Returns the divergence of each view ``(n)``.

        Args:
            student: Logits of four views ``(n c)``.
            teacher: Logits ``(n c)``.
            labels: Index of the class of each row ``(n)``, or the samples of the batch.

        Raises:
            ConfigError: There are no labels, but they say which rows stay.
        """
        check_shapes(student=(student, 'n c'), teacher=(teacher, 'n c'))
        pictures = _pictures(student)
        turned = student[pictures:], teacher[pictures:]
        kept = torch.ones(len(turned[0]), dtype=torch.bool, device=student.device)
        if self.keep < 1:
            if labels is None:
                raise ConfigError(
                    '`SSKDTransformedLoss` leaves rows out by their labels, but the '
                    "link has none; add labels=dict(of='batch', at='data_samples')."
                )
            targets = class_indices(labels, student)[pictures:]
            kept = kept_by_rank(turned[1], targets, keep=self.keep)
        return _spread(softmax_divergence(*turned, self.tau, dim=1), kept, pictures)


@MODELS.register_module()
class SSKDTaskLoss(StudentLoss):
    """Cross entropy of the first view alone, a mean over the pictures.

    It stands for the student's own loss, which would be on all views:
    ``calculate_student_loss=False``.

    Args:
        policy: `loss_weight` and `reduction`, see :class:`~mmkd_ext.methods.PairLoss`.
    """

    def forward(self, preds_S: Tensor, labels: Classes) -> Tensor:
        """Returns the weighted loss.

        Args:
            preds_S: Logits of four views ``(n c)``.
            labels: Index of the class of each row ``(n)``, or the samples of the batch.
        """
        check_shapes(preds_S=(preds_S, 'n c'))
        with torch.autocast(preds_S.device.type, enabled=False):
            logits = at_least_float32(preds_S)
            first = _pictures(logits)
            targets = class_indices(labels, logits)[:first]
            items = F.cross_entropy(logits[:first], targets, reduction='none')
            return self.finish(items)
