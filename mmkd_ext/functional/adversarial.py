"""Objectives of an adversary: a critic that scores the teacher's side above another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

import torch

from mmkd_ext.errors import check_shapes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ['gradient_penalty', 'hinge_critic', 'wasserstein_critic']


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    r"""Returns the hinge objective of a critic, to be minimised by it.

    .. math:: L_n = \max(0, 1 - D(t_n)) + \max(0, 1 + D(s_n))

    It is 0 once the critic tells both sides apart by the margin, so the critic then
    rests: `Geometric GAN, 2017 <https://arxiv.org/abs/1705.02894>`_.

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
    r"""Returns the Wasserstein objective of a critic, to be minimised by it.

    .. math:: L_n = D(s_n) - D(t_n)

    It has no lower bound; `gradient_penalty` must go with it.

    Args:
        real: Scores of the teacher's side ``(n)``.
        fake: Scores of the student's side ``(n)``.

    Returns:
        Objective of each pair ``(n)``.

    Raises:
        ShapeError: The scores are not one for each image of both sides.

    Examples:
        >>> wasserstein_critic(torch.tensor([0.5, 3.0]), torch.tensor([0.5, -3.0]))
        tensor([ 0., -6.])
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
    r"""Returns how far the slope of a critic is from 1 between the two sides.

    .. math::
        P_n = (\lVert \nabla_x D(x_n) \rVert_2 - 1)^2, \quad
        x_n = \alpha_n t_n + (1 - \alpha_n) s_n, \; \alpha_n \sim U(0, 1)

    `Improved Training of Wasserstein GANs, 2017 <https://arxiv.org/abs/1704.00028>`_.
    Gradients reach the critic's parameters and neither side; also inside
    ``torch.no_grad()`` the slope is computed. Where the critic is flat, the penalty is
    1 and its gradient finite.

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
