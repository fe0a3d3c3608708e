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

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrizations

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_choice,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.affinity import affinity_squared_distance
from mmkd_ext.methods._adversary import AdversarialLoss, Discriminator
from mmkd_ext.methods._base import PairLoss
from mmkd_ext.registry import MODELS

__all__ = [
    'SKDSDiscriminator',
    'SKDSHolisticLoss',
    'SKDSPairwiseLoss',
    'gradient_penalty',
    'hinge_critic',
    'wasserstein_critic',
]

_WIDTHS = (64, 128, 256, 512)
_SLOPE = 0.1
_WINDOW = 4


@MODELS.register_module()
class SKDSPairwiseLoss(PairLoss):
    r"""Squared difference of the cosines between regions, a mean over pairs.

    .. math::
        L = \frac{1}{N R^2} \sum_{n,i,j} (a^S_{nij} - a^T_{nij})^2, \quad
        a_{ij} = \cos(x_i, x_j)

    The ``R`` regions come from max pooling with windows of `scale` times the map, side
    by side; with 0.5 they are 2 x 2, or 3 x 3 where the size is odd. See
    :func:`~mmkd_ext.functional.affinity_squared_distance`.

    Args:
        scale: Side of a region as a part of the map's, > 0 and <= 1; its size in
            pixels is rounded down, but at least 1.
        norm_gradient: Whether gradients flow through the lengths of the features. The
            authors' code takes them for constants, so False gave the published
            figures.
        policy: See :class:`~mmkd_ext.methods.PairLoss`.

    Examples:
        >>> x = torch.eye(2).reshape(1, 2, 1, 2)
        >>> SKDSPairwiseLoss()(x, torch.ones(1, 3, 1, 2))
        tensor(0.5000)
    """

    any_shape: ClassVar[frozenset[str]] = frozenset({'channels'})

    def __init__(
        self, scale: float = 0.5, norm_gradient: bool = False, **policy: Any
    ) -> None:
        super().__init__(**policy)
        check_range('scale', scale, gt=0, le=1)
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


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    r"""Returns the hinge objective of a discriminator, which it minimises.

    .. math:: L_n = \max(0, 1 - D(t_n)) + \max(0, 1 + D(s_n))

    From `Geometric GAN, 2017 <https://arxiv.org/abs/1705.02894>`_; 0 once both sides
    are told apart by the margin.

    Args:
        real: Scores of the teacher's side ``(n)``.
        fake: Scores of the student's side ``(n)``.

    Returns:
        Objective of each pair ``(n)``, never negative.

    Raises:
        ShapeError: The scores are not one for each image of both sides.

    Examples:
        >>> hinge_critic(torch.tensor([0.5, 3.0]), torch.tensor([0.5, -3.0]))
        tensor([2., 0.])
    """
    check_shapes(real=(real, 'n'), fake=(fake, 'n'))
    return (1 - real).relu() + (1 + fake).relu()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the Wasserstein objective ``fake - real``, which has no lower bound.

    It goes with `gradient_penalty`; arguments and result as of `hinge_critic`.
    """
    check_shapes(real=(real, 'n'), fake=(fake, 'n'))
    return fake - real


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Returns the gradient penalty of WGAN-GP.

    .. math::
        P_n = (\lVert \nabla_x D(x_n) \rVert_2 - 1)^2, \quad
        x_n = \alpha_n t_n + (1 - \alpha_n) s_n, \; \alpha_n \sim U(0, 1)

    `Improved Training of Wasserstein GANs, 2017 <https://arxiv.org/abs/1704.00028>`_.
    Gradients reach the critic's parameters and neither side; the slope is computed also
    under ``torch.no_grad()``. Where the critic is flat, the penalty is 1 and its
    gradient finite.

    Args:
        critic: Scores ``(n)`` of a batch ``(n ...)``, each from its own entry alone.
        real: Teacher's side ``(n ...)``.
        fake: Student's side of the same shape.
        generator: Draws the places between the sides.

    Returns:
        Penalty of each pair ``(n)``.

    Raises:
        ShapeError: The sides differ in shape.

    Examples:
        >>> critic = lambda x: (3 * x).sum(1)
        >>> gradient_penalty(critic, torch.ones(2, 1), torch.zeros(2, 1))
        tensor([4., 4.])
    """
    axes = ' '.join(['n', *(f'a{i}' for i in range(1, real.dim()))])
    check_shapes(real=(real, axes), fake=(fake, axes))
    shape = (real.shape[0], *[1] * (real.dim() - 1))
    place = torch.rand(shape, dtype=real.dtype, device=real.device, generator=generator)
    learns = torch.is_grad_enabled()
    with torch.enable_grad():
        between = torch.lerp(fake.detach(), real.detach(), place).requires_grad_()
        scores = critic(between)
        (slope,) = torch.autograd.grad(scores.sum(), between, create_graph=learns)
    length: Tensor = torch.linalg.vector_norm(slope.flatten(1), dim=1)
    return (length - 1).square()


class SelfAttention(nn.Module):
    r"""Lets each position look at all others, as in SAGAN.

    .. math:: y_i = x_i + \gamma \sum_j \operatorname{softmax}_j(q_i \cdot k_j) \, v_j

    `gamma` begins with 0, so it begins as the identity. Queries and keys have an
    eighth of the channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // 8)
        self.query = nn.Conv2d(channels, narrow, 1)
        # a bias would add the same to all of a position's weights, before a softmax
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        layers = (self.query, self.key, self.value)
        query, key, value = (layer(x).flatten(2) for layer in layers)
        weights = (query.transpose(1, 2) @ key).softmax(2)
        seen: Tensor = (value @ weights.transpose(1, 2)).reshape(x.shape)
        return x + self.gamma * seen


class SKDSDiscriminator(Discriminator):
    """Scores whole predictions, as the authors' code builds it.

    Batch normalisation by the statistics of the batch; for each of `widths` a 4x4
    convolution that halves the size, with a leaky ReLU, and self-attention after the
    last ones; a 4x4 convolution without padding to the score. Logits of 64 x 64 get one
    score, larger ones one for each place of the window, smaller ones are padded with
    zeros.

    Args:
        channels: Number of classes.
        conditional: Look at the pictures too, as the paper has it, in a form of our
            own: the picture, averaged down to the size of the logits, is stacked below
            them, nothing is normalised, and the score is the mean of a 1x1 convolution
            over the positions.
        image_channels: Channels of the pictures, where it is conditional.
        widths: Channels after each convolution.
        attention: How many of the last convolutions are followed by self-attention.
        spectral_norm: Whether the largest singular value of each halving convolution's
            weight is held at 1; of the score's too, where it is conditional.

    Raises:
        ConfigError: `attention` asks for more than there are convolutions.

    Examples:
        >>> discriminator = SKDSDiscriminator(19, widths=(4, 8))
        >>> discriminator(torch.ones(2, 19, 16, 32)).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        channels: int,
        *,
        conditional: bool = False,
        image_channels: int = 3,
        widths: Sequence[int] = _WIDTHS,
        attention: int = 2,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        check_integer('channels', channels, ge=1)
        check_integer('image_channels', image_channels, ge=1)
        check_integer('attention', attention, ge=0)
        if not widths or attention > len(widths):
            raise ConfigError(
                f'`attention` follows {attention} convolutions, but `widths` '
                f'{tuple(widths)} has {len(widths)}; give at least one width, and no '
                'more attention than widths.'
            )
        self.channels = channels
        self.conditional = conditional
        self.image_channels = image_channels
        normed = parametrizations.spectral_norm if spectral_norm else _identity
        ins = [channels + image_channels * conditional, *widths]
        # by the statistics of the batch, as the authors' is never in eval mode
        norm = nn.BatchNorm2d(channels, track_running_stats=False)
        self.norm = nn.Identity() if conditional else norm
        self.convs = nn.ModuleList(
            normed(nn.Conv2d(before, width, 4, stride=2))
            for before, width in zip(ins, widths)
        )
        plain = len(widths) - attention
        self.attentions = nn.ModuleList(
            nn.Identity() if i < plain else SelfAttention(width)
            for i, width in enumerate(widths)
        )
        self.score = (
            normed(nn.Conv2d(ins[-1], 1, 1))
            if conditional
            else nn.Conv2d(ins[-1], 1, _WINDOW)
        )

    def forward(self, logits: Tensor, image: Tensor | None = None) -> Tensor:
        """Returns the scores of each prediction ``(n p)``; high is the teacher's.

        Logits are ``(n channels h w)``, pictures ``(n image_channels y x)``.
        """
        return self.judge(self.prepare(logits, image))

    def prepare(self, logits: Tensor, image: Tensor | None = None) -> Tensor:
        """Returns what is judged of one side's batch, see `forward`."""
        self.check_logits(logits)
        return self._stack(logits, image) if self.conditional else self.norm(logits)

    def judge(self, x: Tensor) -> Tensor:
        """Returns the scores ``(n p)`` of what `prepare` has made."""
        for conv, attention in zip(self.convs, self.attentions):
            x = F.leaky_relu(conv(self._padded(x)), _SLOPE)
            x = attention(x)
        if self.conditional:
            scores: Tensor = self.score(x)
            return scores.mean((2, 3))
        below, right = (max(0, _WINDOW - side) for side in x.shape[2:])
        scores = self.score(F.pad(x, (0, right, 0, below)))
        return scores.flatten(1)

    def check_logits(self, logits: Tensor) -> None:
        """Raises `ShapeError` where this was built for another number of classes."""
        check_shapes(logits=(logits, 'n c h w'))
        if logits.shape[1] != self.channels:
            raise ShapeError(
                f'the discriminator was built with `channels={self.channels}`, but '
                f'gets logits of {logits.shape[1]} classes {tuple(logits.shape)}; '
                f'write `channels={logits.shape[1]}` in the loss.'
            )

    def _padded(self, x: Tensor) -> Tensor:
        """Pads by 1, as the authors do; where nothing would be left, by one more.

        So odd sizes are rounded down to at least 1, and up where it is conditional.
        """
        below, right = (
            2 if self.conditional or side == 1 else 1 for side in x.shape[2:]
        )
        return F.pad(x, (1, right, 1, below))

    def _stack(self, logits: Tensor, image: Tensor | None) -> Tensor:
        if image is None:
            raise ShapeError(
                'the discriminator looks at the picture too: add inputs=dict('
                "of='batch', at='inputs') to the link, or leave `conditional` out of "
                'its loss.'
            )
        check_shapes(
            logits=(logits, 'n c h w'), inputs=(image, f'n {self.image_channels} y x')
        )
        small = F.interpolate(image.to(logits.dtype), logits.shape[2:], mode='area')
        return torch.cat([logits, small], 1)


def _identity(module: nn.Module) -> nn.Module:
    return module


_CRITICS = {'hinge': hinge_critic, 'wgan-gp': wasserstein_critic}


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
    :math:`P` is the :func:`gradient_penalty` of the logits. The loss is ``L``, in which
    the discriminator is a constant; ``L_D`` is `discriminator_loss`, in which the
    student is one, logged as ``<link>_discriminator``. `loss_weight` and a schedule
    scale ``L`` alone; while a schedule is at 0, the discriminator rests as well. ``L``
    may be negative, and its value says little: it is relative to the discriminator.

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
        policy: See :class:`~mmkd_ext.methods.PairLoss`; the published weight is 0.1.

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
        widths: Sequence[int] = _WIDTHS,
        attention: int = 2,
        spectral_norm: bool = True,
        **policy: Any,
    ) -> None:
        super().__init__(**policy)
        check_choice('mode', mode, _CRITICS)
        check_range('penalty', penalty, ge=0)
        check_range('discriminator_weight', discriminator_weight, ge=0)
        self.mode, self.penalty = mode, penalty
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
        """Returns minus the score of each of the student's predictions ``(n)``."""
        check_shapes(student=(student, 'n c h w'), teacher=(teacher, 'n c h w'))
        net = self.discriminator
        constants = {name: p.detach() for name, p in net.named_parameters()}
        with _evaluating(net):
            scores: Tensor = functional_call(net, constants, (student, inputs))
        return -scores.mean(1)

    def compute_discriminator(  # type: ignore[override]
        self, student: Tensor, teacher: Tensor, inputs: Tensor | None = None
    ) -> Tensor:
        """Returns the discriminator's objective of each image ``(n)``."""
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
        """Returns the settings."""
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
