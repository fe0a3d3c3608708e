"""Base of adversarial losses.

Student and discriminator are trained by one forward and one backward pass. The
student's term takes the discriminator for a constant, the discriminator's own
objective takes the student's side for a constant; so their sum sends each gradient to
one of them alone. Two optimizers then step. That equals stepping in turn on the
predictions of one forward pass, since neither step changes what the other one reads.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mmkd_ext.methods._base import PairLoss, pair_levels

if TYPE_CHECKING:
    from mmkd_ext.methods._base import Levels

__all__ = ['AdversarialLoss', 'Discriminator', 'discriminators_of']


class Discriminator(nn.Module):
    """A network that learns against the student, with its own optimizer.

    Attributes:
        has_optimizer: Whether its own optimizer trains it; set by
            ``mmkd_ext.AdversarialOptimWrapperConstructor``. Training without one is
            refused.
    """

    has_optimizer = False


def discriminators_of(model: nn.Module) -> list[Discriminator]:
    """Returns the discriminators that are part of a model."""
    return [m for m in model.modules() if isinstance(m, Discriminator)]


class AdversarialLoss(PairLoss):
    """A loss with a discriminator.

    `forward` is the student's term, with the policy of every `PairLoss`; a link's
    schedule scales it alone. `discriminator_loss` is what the discriminator minimises.
    """

    @abstractmethod
    def compute_discriminator(
        self, student: Tensor, teacher: Tensor, **extras: Any
    ) -> Tensor:
        """Returns the discriminator's objective of each image ``(n)``, of one level.

        Args:
            student: Student's side ``(n ...)``, detached, float32 or better.
            teacher: Teacher's side, detached.
            extras: What else the method takes, by name.
        """

    def discriminator_loss(
        self, preds_S: Levels, preds_T: Levels, **extras: Any
    ) -> Tensor:
        """Returns the discriminator's objective: its mean, summed over the levels.

        Arguments are those of `forward`.
        """
        levels = pair_levels(preds_S, preds_T)
        with torch.autocast(levels[0][0].device.type, enabled=False):
            parts = []
            for pair in levels:
                student, teacher = (side.detach() for side in self._prepare(*pair))
                items = self.compute_discriminator(student, teacher, **extras)
                parts.append(items.mean())
        return sum(parts[1:], parts[0])
