r"""SKDS: Structured Knowledge Distillation for Semantic Segmentation.

Liu, Chen, Liu, Qin, Luo, Wang, CVPR 2019 and TPAMI, `arXiv 1903.04197
<https://arxiv.org/abs/1903.04197>`_. Three terms. Pixel-wise it is
:class:`~mmkd_ext.methods.KDLoss`. Pair-wise the cosines between the regions of the
student's map follow those of the teacher's (`SKDSPairwiseLoss`). In the holistic term
(`SKDSHolisticLoss`) a discriminator looks at whole predictions and learns to tell the
teacher's from the student's; the student learns to be taken for the teacher.

Recipe: pixel term weight 10, summed over the 8 images of a batch, which is 80 of a
mean, however these are spread over devices; pair-wise on the
feature after the pyramid pooling, regions of half the map, weight 0.5; holistic on the
logits, weight 0.1, WGAN-GP with a penalty of 10; the discriminator by SGD with a
learning rate of 4e-4, momentum 0.9 and weight decay 5e-4. Users of the authors' code
met NaN in the holistic term, and hinge, its other mode, is what is recommended; here
hinge is the default. The discriminator needs an optimizer of its own:
``optim_wrapper.constructor='mmkd_ext.AdversarialOptimWrapperConstructor'``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from mmkd_ext.errors import check_choice, check_range, check_shapes
from mmkd_ext.functional.adversarial import (
    gradient_penalty,
    hinge_critic,
    wasserstein_critic,
)
from mmkd_ext.functional.affinity import affinity_squared_distance
from mmkd_ext.methods._adversary import AdversarialLoss
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.methods._skds_discriminator import WIDTHS, SKDSDiscriminator
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['SKDSHolisticLoss', 'SKDSPairwiseLoss']

_CRITICS = {'hinge': hinge_critic, 'wgan-gp': wasserstein_critic}


@MODELS.register_module()
class SKDSPairwiseLoss(PairLoss):
    r"""Squared difference of the cosines between regions, a mean over pairs.

    .. math::
        L = \frac{1}{N R^2} \sum_{n,i,j} (a^S_{nij} - a^T_{nij})^2, \quad
        a_{ij} = \cos(x_i, x_j)

    The ``R`` regions come from max pooling with windows of `scale` times the map, side
    by side; with 0.5 they are 2 x 2, or 3 x 3 where the size is odd. With smaller
    windows there are many regions, and no ``R x R`` matrix is made; see
    :func:`~mmkd_ext.functional.affinity_squared_distance`.

    Args:
        scale: Side of a region as a part of the map's, > 0 and <= 1; its size in
            pixels is rounded down, but at least 1.
        norm_gradient: Whether gradients flow through the lengths of the features. The
            authors' code takes them for constants, so False gave the published
            figures.
        policy: `loss_weight`, `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> import torch
        >>> x = torch.eye(2).reshape(1, 2, 1, 2)
        >>> SKDSPairwiseLoss()(x, torch.ones(1, 3, 1, 2))
        tensor(0.5000)
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def __init__(
        self, scale: float = 0.5, norm_gradient: bool = False, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('scale', scale, above=0, high=1)
        self.scale = scale
        self.norm_gradient = norm_gradient

    def compute(self, student: Tensor, teacher: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the mean squared difference of each image ``(n)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n d h w'))
        student, teacher = (self._regions(x) for x in (student, teacher))
        count = student.shape[2] * student.shape[3]
        distance = affinity_squared_distance(
            student, teacher, norm_gradient=self.norm_gradient
        )
        return distance / count**2

    def _regions(self, x: Tensor) -> Tensor:
        window = tuple(max(1, int(self.scale * side)) for side in x.shape[2:])
        return x if window == (1, 1) else F.max_pool2d(x, window, ceil_mode=True)


@MODELS.register_module()
class SKDSHolisticLoss(AdversarialLoss):
    r"""Minus the score that a discriminator gives to the student's predictions.

    .. math::
        L &= -\frac{1}{N} \sum_n D(s_n) \\
        L_D &= \frac{w}{N} \sum_n \max(0, 1 - D(t_n)) + \max(0, 1 + D(s_n))
        \quad \text{(hinge)} \\
        L_D &= \frac{w}{N} \sum_n D(s_n) - D(t_n) + \lambda P_n
        \quad \text{(WGAN-GP)}

    and, where a prediction has several scores, means of these terms over the scores.
    :math:`P` is the :func:`~mmkd_ext.functional.gradient_penalty` of the logits. The
    loss is ``L``, in which the discriminator is a constant; ``L_D`` is
    `discriminator_loss`, in which the student is one, logged as
    ``<link>_discriminator``. `loss_weight` and a schedule scale ``L`` alone; while a
    schedule is at 0, the discriminator rests as well. ``L`` may be negative, and its
    value says little: it is relative to the discriminator.

    The discriminator is that of the authors' code, which sees the logits alone. The one
    of the paper sees the pictures too; `conditional` is one of that kind.

    The discriminator is trained by its own optimizer, see
    ``mmkd_ext.AdversarialOptimWrapperConstructor``. It is in the checkpoints of the
    distillation and never in a student's file.

    Args:
        channels: Number of classes.
        mode: ``'hinge'``, or ``'wgan-gp'`` as published.
        penalty: Weight of the gradient penalty; of no use with hinge.
        discriminator_weight: Factor ``w`` on what the discriminator minimises, >= 0. It
            is for optimizers to which the scale of a loss matters, as SGD.
        conditional: See `SKDSDiscriminator`; the link then needs `inputs`.
        image_channels: See `SKDSDiscriminator`.
        widths: See `SKDSDiscriminator`.
        attention: See `SKDSDiscriminator`.
        spectral_norm: See `SKDSDiscriminator`.
        policy: `loss_weight` (published: 0.1), `reduction`, `teacher_detach` of
            :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> _ = torch.manual_seed(0)
        >>> loss = SKDSHolisticLoss(2, widths=(4,), attention=1, loss_weight=0.1)
        >>> student, teacher = torch.rand(2, 1, 2, 8, 8)
        >>> sides = dict(preds_S=student, preds_T=teacher)
        >>> loss(**sides).shape, loss.discriminator_loss(**sides) > 0
        (torch.Size([]), tensor(True))
    """

    def __init__(
        self,
        channels: int,
        mode: str = 'hinge',
        *,
        penalty: float = 10.0,
        discriminator_weight: float = 0.1,
        conditional: bool = False,
        image_channels: int = 3,
        widths: Sequence[int] = WIDTHS,
        attention: int = 2,
        spectral_norm: bool = True,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_choice('mode', mode, _CRITICS)
        check_range('penalty', penalty, low=0)
        check_range('discriminator_weight', discriminator_weight, low=0)
        self.mode = mode
        self.penalty = penalty
        self.discriminator_weight = discriminator_weight
        self.discriminator = SKDSDiscriminator(
            channels,
            conditional=conditional,
            image_channels=image_channels,
            widths=widths,
            attention=attention,
            spectral_norm=spectral_norm,
        )

    def check_pair(self, student: Tensor, teacher: Tensor) -> None:
        """Raises where the discriminator was built for another number of classes."""
        for side in (student, teacher):
            self.discriminator.check_logits(side)

    def compute(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, inputs: Tensor | None = None
    ) -> Tensor:
        """Returns minus the score of each of the student's predictions ``(n)``.

        Args:
            student: Student's logits ``(n channels h w)``.
            teacher: Teacher's, of the same shape; they are not looked at here.
            inputs: The pictures ``(n image_channels y x)``, for `conditional`.
        """
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
        constants = {
            name: parameter.detach()
            for name, parameter in self.discriminator.named_parameters()
        }
        with _evaluating(self.discriminator):
            scores: Tensor = functional_call(
                self.discriminator, constants, (student, inputs)
            )
        return -scores.mean(1)

    def compute_discriminator(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, inputs: Tensor | None = None
    ) -> Tensor:
        """Returns the discriminator's objective of each image ``(n)``.

        Args:
            student: Student's logits ``(n channels h w)``.
            teacher: Teacher's, of the same shape.
            inputs: The pictures ``(n image_channels y x)``, for `conditional`.
        """
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
        # each side is normalised as a batch, and both are judged by the same weights
        sides = [self.discriminator.prepare(x, inputs) for x in (student, teacher)]
        fake, real = self.discriminator.judge(torch.cat(sides)).chunk(2)
        items = _CRITICS[self.mode](real.flatten(), fake.flatten())
        items = items.reshape(real.shape).mean(1)
        if self.mode == 'wgan-gp':
            critic = partial(self.discriminator, image=inputs)
            items = items + self.penalty * gradient_penalty(critic, teacher, student)
        return self.discriminator_weight * items

    def extra_repr(self) -> str:
        """Returns what `print` shows of it."""
        return f'mode={self.mode!r}, {super().extra_repr()}'


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Keeps a module's buffers, such as those of its spectral norm, as they are."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
