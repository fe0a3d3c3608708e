"""SAR: sharpness-aware entropy minimisation on certain pixels, with recovery."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mmkd_ext.adaptation.batch import Skip, StepState
from mmkd_ext.adaptation.distillers._statistics import StatisticsDistiller
from mmkd_ext.adaptation.filters import EntropyFilter
from mmkd_ext.adaptation.pseudo_labels import entropy, weighted_mean
from mmkd_ext.errors import ConfigError, check_range, did_you_mean
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mmengine.optim import OptimWrapper
    from torch import Tensor, nn
    from torch.nn import Parameter

    from mmkd_ext.adaptation.batch import Batch

__all__ = ['LAST_BLOCKS', 'SARDistiller', 'sam_perturbation']

#: Last stage of mmseg's ResNets, and of its MiT (SegFormer).
LAST_BLOCKS = ('backbone.layer4.*', 'backbone.layers.3.*')


@dataclass
class SARState(StepState):
    """The pixels that the first pass of an update kept ``(n h w)``."""

    certain: Tensor | None = None


@MODELS.register_module()
class SARDistiller(StatisticsDistiller):
    r"""Makes certain pixels more certain, where small changes of weights do not matter.

    .. math::
        \hat\epsilon = \rho\, \frac{\nabla L(\theta)}{\|\nabla L(\theta)\|_2}, \qquad
        \theta \leftarrow \theta - \eta \nabla L(\theta + \hat\epsilon)

    `Towards Stable Test-Time Adaptation in Dynamic Wild World, ICLR 2023
    <https://arxiv.org/abs/2302.12400>`_: `L` is the mean entropy of the pixels that the
    `EntropyFilter` lets through, once at the weights, once more at the perturbed ones.
    When the moving average of the second loss falls below `recovery`, everything goes
    back to the source.

    Where this differs from the authors' classifier:

    - A sample is a pixel.
    - The published threshold is 0.2, hard-coded in the branch that resets; here it is
      `recovery` alone. It is of one label in 1000 classes an image. The mean over the
      certain pixels of a segmentation is far lower on a good day: set it for the
      stream, or to None.
    - The published recovery puts the average back to what it was before it, so it
      recovers again and again; here the average starts anew. The optimizer's state is
      forgotten too.

    Args:
        rho: Norm of the perturbation.
        share: `E_0` in shares of the largest entropy.
        recovery: Moving average in nats below which the source comes back; None for
            never.
        momentum: What the moving average keeps of itself.
        frozen: Patterns of names that are not trained though `trainable` means them; by
            default the last stage of ResNet or MiT. One of them must match.
        statistics: Of batch normalisation, see `BNStatsDistiller`.
        mixing: Likewise.
        **common: See `AdaptDistiller`.

    Raises:
        ConfigError: No pattern of `frozen` matches a parameter, or nothing is left.
    """

    shares_forward: ClassVar[bool] = True
    step_state: ClassVar[type[StepState]] = SARState
    average: Tensor

    def __init__(
        self,
        rho: float = 0.05,
        share: float = 0.4,
        recovery: float | None = 0.2,
        momentum: float = 0.9,
        frozen: Sequence[str] = LAST_BLOCKS,
        statistics: str = 'batch',
        mixing: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(statistics, mixing, **common)
        check_range('rho', rho, ge=0)
        check_range('momentum', momentum, ge=0, le=1)
        if recovery is not None:
            check_range('recovery', recovery, ge=0)
        if isinstance(frozen, str):
            raise ConfigError(
                f'`frozen` must be a list of patterns, but is {frozen!r}.'
            )
        self.certain = EntropyFilter(share)
        self.rho, self.recovery, self.momentum = rho, recovery, momentum
        self.frozen = tuple(frozen)
        # nan: nothing was averaged yet
        self.register_buffer('average', torch.tensor(float('nan')))

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Checks what is frozen."""
        super().prepare(student, source)
        names = [name for name, _ in student.named_parameters()]
        if self.frozen and not any(self.is_frozen(name) for name in names):
            raise ConfigError(
                f'`frozen`: none of {list(self.frozen)} matches a parameter. Give the '
                'patterns of the last blocks of this network, or () to freeze none.'
                f'{did_you_mean(self.frozen[0], names)}'
            )
        if not self.trained():
            raise ConfigError(
                f'`frozen`: {list(self.frozen)} leaves nothing of '
                f'`trainable={self.trainable!r}`.'
            )

    def reset(self) -> None:
        """Resets the moving average."""
        super().reset()
        self.average.fill_(float('nan'))

    def is_frozen(self, name: str) -> bool:
        """Whether a parameter is kept as it is."""
        return any(fnmatchcase(name, pattern) for pattern in self.frozen)

    def trained(self) -> dict[str, Parameter]:
        """Returns the parameters that are adapted, without the frozen ones."""
        return {k: p for k, p in super().trained().items() if not self.is_frozen(k)}

    def compute_losses(self, batch: Batch) -> dict[str, Tensor] | Skip:
        """Returns the entropy of the certain pixels.

        In the second pass of an update, of those that are certain still.
        """
        logits = self.first_logits(batch)
        kept = self.certain(logits.detach())
        state: SARState = batch.state
        if state.certain is not None:
            kept = kept & state.certain
        state.certain = kept
        weights = self.selected(logits)
        weights = kept if weights is None else kept * weights
        if not weights.any():
            return Skip('no pixel is certain enough')
        return {'loss_entropy': weighted_mean(entropy(logits), weights)}

    def take_step(
        self, batch: Batch, losses: dict[str, Tensor], optim_wrapper: OptimWrapper
    ) -> str:
        """Updates by the gradient at the perturbed weights; returns why not."""
        counts = optim_wrapper._accumulative_counts
        if counts != 1:
            raise ConfigError(
                '`optim_wrapper.accumulative_counts` must be 1 for `SARDistiller`, '
                f'which makes two passes an update, but is {counts}.'
            )
        problem = self.backward(losses, optim_wrapper)
        if problem:
            return problem
        weights = list(self.trained().values())
        with sam_perturbation(weights, self.rho):
            optim_wrapper.zero_grad()
            with optim_wrapper.optim_context(self.student):
                second = self.compute_losses(batch)
            batch.state.certain = None
            if isinstance(second, Skip):
                return second.reason
            problem = self.backward(second, optim_wrapper)
        if problem:
            return problem
        optim_wrapper.step()
        optim_wrapper.zero_grad()
        self.follow(second['loss_entropy'].detach())
        return ''

    def follow(self, loss: Tensor) -> None:
        """Updates the moving average with a loss."""
        first = bool(self.average.isnan())
        loss = loss.to(self.average)
        self.average.copy_(
            loss if first else self.average.lerp(loss, 1 - self.momentum)
        )

    def wants_reset(self) -> str:
        """Recovers when the average is too low."""
        if self.recovery is None or not self.average < self.recovery:
            return ''
        return f'recovered: mean entropy {self.average:.3f} < {self.recovery}'

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        own = {
            'rho': self.rho,
            'share': self.certain.share,
            'recovery': self.recovery,
            'frozen': list(self.frozen),
        }
        return {**super().describe(), **own}


@contextmanager
def sam_perturbation(weights: Sequence[Parameter], rho: float) -> Iterator[None]:
    """Moves weights by `rho` along their gradient during the block.

    They come back bit for bit. Weights without a gradient stay.
    """
    moved = [w for w in weights if w.grad is not None]
    before = [w.detach().clone() for w in moved]
    gradients = [w.grad for w in moved if w.grad is not None]
    if not gradients:
        yield
        return
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(gradients)])
    # all gradients are 0: no direction
    scale = rho / norms.norm().clamp_min(1e-12)
    try:
        with torch.no_grad():
            for weight, gradient in zip(moved, gradients):
                weight.add_(gradient * scale.to(gradient))
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(moved, before):
                weight.copy_(old)
