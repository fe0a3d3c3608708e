r"""SimKD: Knowledge Distillation with the Reused Teacher Classifier.

Chen, Mei, Zhang, Wang, Feng, Chen, CVPR 2022, `arXiv 2203.14001
<https://arxiv.org/abs/2203.14001>`_. A feature method: a projector brings the student's
last feature to the teacher's, and the teacher's classifier classifies it, in training
and afterwards. So student, projector and classifier are deployed together.

Recipe: the last map before pooling, ``loss_weight=1`` and no other loss
(``calculate_student_loss=False``), ``factor=2``; CIFAR-100 240 epochs as RepDistiller.
There is no segmentation in the paper; with a segmentor's classifier, a 1x1 convolution,
each pixel is classified.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_integer,
    check_shapes,
)
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._classifier import classified, classifier_width
from mmkd_ext.registry import MODELS

__all__ = ['SimKDClassifier', 'SimKDLoss', 'pooled_to_smaller']

# the last layer of mmseg's heads, of mmpretrain's, of torchvision's models
_LAST_LAYERS = ('conv_seg', 'fc', 'classifier')


@MODELS.register_module()
class SimKDClassifier(nn.Module):
    """A projector, and the teacher's classifier behind it.

    The projector is a 1x1, a 3x3 and a 1x1 convolution, each with batch normalisation
    and ReLU. The classifier is frozen; its weights come from the teacher by
    ``model.inherit``, see `SimKDLoss`.

    Args:
        in_channels: Channels of the student's feature.
        channels: Channels of the teacher's.
        num_classes: Number of classes.
        factor: By how many times the projector is narrower inside than `channels`,
            which it is a multiple of.
        dense: Whether the teacher's classifier is a 1x1 convolution, as a segmentor's;
            otherwise it is a linear layer, and maps are averaged before it.

    Raises:
        ConfigError: `channels` is no multiple of `factor`.

    Examples:
        >>> import torch
        >>> layer = SimKDClassifier(8, 32, num_classes=10)
        >>> layer(torch.zeros(2, 8, 4, 4)).shape
        torch.Size([2, 10])
        >>> layer.projector(torch.zeros(2, 8, 4, 4)).shape
        torch.Size([2, 32, 4, 4])
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        *,
        factor: int = 2,
        dense: bool = False,
    ) -> None:
        super().__init__()
        for name, number in (
            ('in_channels', in_channels),
            ('channels', channels),
            ('num_classes', num_classes),
            ('factor', factor),
        ):
            check_integer(name, number, ge=1)
        if channels % factor:
            raise ConfigError(
                f'`channels`, {channels}, must be a multiple of `factor`, {factor}.'
            )
        inside = channels // factor
        self.projector = nn.Sequential(
            *_layer(in_channels, inside, 1),
            *_layer(inside, inside, 3),
            *_layer(inside, channels, 1),
        )
        self.classifier: nn.Module = (
            nn.Conv2d(channels, num_classes, 1)
            if dense
            else nn.Linear(channels, num_classes)
        )
        self.classifier.requires_grad_(False)

    def forward(self, feature: Tensor) -> Tensor:
        """Returns the logits of a map ``(n in_channels h w)``.

        Returns:
            Logits ``(n k h w)`` of a segmentor, ``(n k)`` of a classifier.

        Raises:
            ShapeError: The feature is no map. A classifier's neck pools it; leave that
                out.
        """
        if feature.dim() != 4:
            raise ShapeError(
                f'the projector of SimKD takes maps (n c h w), but got '
                f'{tuple(feature.shape)}; take the pooling neck out of the student '
                '(`neck=None`), since it pools behind the projector.'
            )
        return classified(self.projector(feature), self.classifier)


@MODELS.register_module(name='SimKDHead')  # type: ignore[untyped-decorator]
def simkd_head(
    head: dict[str, Any], channels: int, factor: int = 2, **changes: Any
) -> nn.Module:
    """Builds a student's head whose last layer is a `SimKDClassifier`.

    Everything else of the head stays as it is, so the student is trained, tested,
    saved and deployed as ever. Give it the pooled map of a classifier no more:
    ``neck=None``, because pooling comes behind the projector.

    Args:
        head: Config of the head, of mmseg or mmpretrain.
        channels: Channels of the teacher's feature.
        factor: See `SimKDClassifier`.
        changes: More keys of the head, such as what mmengine merges into it.

    Raises:
        ConfigError: The head has no last layer that could be replaced.
    """
    built: nn.Module = MODELS.build({**head, **changes})
    name = next((n for n in _LAST_LAYERS if hasattr(built, n)), None)
    if name is None:
        children = [child for child, _ in built.named_children()]
        raise ConfigError(
            f'`{type(built).__name__}` has none of the last layers '
            f'{list(_LAST_LAYERS)}; it has {children}.'
        )
    last = getattr(built, name)
    dense = isinstance(last, nn.Conv2d)
    layer = SimKDClassifier(
        classifier_width(last),
        channels,
        last.out_channels if dense else last.out_features,
        factor=factor,
        dense=dense,
    )
    setattr(built, name, layer)
    # what the head would do to the weights of its own last layer
    vars(built)['init_cfg'] = None
    return built


def _layer(ins: int, outs: int, size: int) -> list[nn.Module]:
    conv = nn.Conv2d(ins, outs, size, padding=size // 2, bias=False)
    return [conv, nn.BatchNorm2d(outs), nn.ReLU()]


def pooled_to_smaller(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Averages two maps to the smaller of both heights and of both widths.

    Args:
        student: Features ``(n c h w)``.
        teacher: Features ``(n d k l)``.

    Returns:
        Both at size ``(min(h, k), min(w, l))``.

    Raises:
        ShapeError: They are no maps of one batch.

    Examples:
        >>> one, other = pooled_to_smaller(torch.eye(2)[None, None],
        ...                                torch.ones(1, 1, 1, 3))
        >>> one, other.shape
        (tensor([[[[0.5000, 0.5000]]]]), torch.Size([1, 1, 1, 2]))
    """
    check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d k l'))
    height, width = map(min, student.shape[2:], teacher.shape[2:])
    ours, theirs = (
        x
        if x.shape[2:] == (height, width)
        else F.adaptive_avg_pool2d(x, (height, width))
        for x in (student, teacher)
    )
    return ours, theirs


@MODELS.register_module()
class SimKDLoss(PairLoss):
    r"""Squared error of the projected feature, a mean over all elements.

    .. math:: L = \frac{1}{N C H W} \sum (P(s) - t)^2

    where the larger map is averaged to the size of the smaller, see
    :func:`pooled_to_smaller`. The authors average the student's before the projector;
    here it is behind, where the deployed student has it.

    The student's last layer is a `SimKDClassifier`, which ``mmkd_ext.SimKDHead`` puts
    there, and its classifier is the teacher's:

    .. code-block:: python

        head = 'decode_head.conv_seg'
        model = dict(
            architecture=dict(decode_head=dict(
                _delete_=True, type='mmkd_ext.SimKDHead', channels=32, head=...)),
            inherit={f'{head}.classifier': head},
            calculate_student_loss=False,
            distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_simkd=dict(
                loss=dict(type='mmkd_ext.SimKDLoss'),
                preds_S=dict(of='student', at=f'{head}.projector'),
                preds_T=dict(
                    of='teacher', at=dict(type='ModuleInputs', source=head), item=0),
                deployed=dict(of='student',
                              at=dict(type='Module', source=f'{head}.classifier')),
                classifier=dict(of='teacher', at=dict(type='Module', source=head))))))

    `deployed` and `classifier` are compared in the first step, because a student with
    another classifier would come out of a whole training without a hint.

    Args:
        policy: See :class:`~mmkd_ext.methods.PairLoss`.
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'size'})

    def __init__(self, **policy: Any) -> None:
        super().__init__(**policy)
        self._compared = False

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where the projector is of another width than the teacher's feature."""
        if student.dim() != 4 or teacher.dim() != 4:
            raise ShapeError(
                f'SimKD compares maps (n c h w), but has {tuple(student.shape)} and '
                f'{tuple(teacher.shape)}; tap the projector, and what enters the '
                "pooling before the teacher's classifier."
            )
        if student.shape[1] != teacher.shape[1]:
            raise ShapeError(
                f"the projector gives {student.shape[1]} channels, but the teacher's "
                f'feature has {teacher.shape[1]}; set `channels` of `SimKDHead`.'
            )

    def compute(  # type: ignore[override]
        self,
        student: Tensor,
        teacher: Tensor,
        deployed: nn.Module,
        classifier: nn.Module,
    ) -> Tensor:
        """Returns the squared error of each element ``(n c h w)``.

        Args:
            student: Projected features ``(n c h w)``.
            teacher: Features before the teacher's classifier ``(n c k l)``.
            deployed: The student's copy of the teacher's classifier.
            classifier: The teacher's classifier.
        """
        self.check_pair(student, teacher)
        if not self._compared:
            _compare(deployed, classifier, teacher)
            self._compared = True
        return squared_error(*pooled_to_smaller(student, teacher))


def _compare(deployed: nn.Module, classifier: nn.Module, teacher: Tensor) -> None:
    """Raises where the student's classifier is not the teacher's."""
    width = classifier_width(classifier)
    if teacher.dim() > 1 and teacher.shape[1] != width:
        raise ShapeError(
            f"the teacher's classifier takes {width} channels, but its feature is "
            f'{tuple(teacher.shape)}; tap what enters the classifier.'
        )
    ours, theirs = deployed.state_dict(), classifier.state_dict()
    shapes = [{k: tuple(v.shape) for k, v in x.items()} for x in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ShapeError(
            f"the student's classifier has {shapes[0]}, the teacher's {shapes[1]}; set "
            '`channels` and `num_classes` of `SimKDHead` as in the teacher.'
        )
    if any(not torch.equal(v, theirs[k].to(v)) for k, v in ours.items()):
        raise ConfigError(
            "the student's classifier is not the teacher's, so what is deployed would "
            "predict noise. Set model.inherit={'<head>.classifier': '<head>'} for a "
            'new run; to resume one give the teacher that it began with.'
        )
