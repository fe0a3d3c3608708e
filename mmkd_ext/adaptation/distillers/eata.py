"""EATA: entropy of certain and new pixels, with a penalty on important weights."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mmkd_ext.adaptation.batch import Skip, StepState
from mmkd_ext.adaptation.distillers._statistics import StatisticsDistiller
from mmkd_ext.adaptation.filters import EntropyFilter, RedundancyFilter
from mmkd_ext.adaptation.pseudo_labels import (
    entropy,
    hard_cross_entropy,
    weighted_mean,
)
from mmkd_ext.errors import check_integer, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from mmkd_ext.adaptation.batch import Batch, Update

__all__ = ['EATADistiller']


@dataclass
class EATAState(StepState):
    """The pixels that were new before the first update ``(n h w)``."""

    new: Tensor | None = None


@MODELS.register_module()
class EATADistiller(StatisticsDistiller):
    r"""Minimises the entropy where it is low already and the prediction is new.

    .. math::
        L = \frac{1}{|S|} \sum_{i \in S} e^{E_0 - H_i} H_i
            + \alpha \sum_j \omega_j (\theta_j - \theta_{0j})^2

    `Efficient Test-Time Model Adaptation without Forgetting, ICML 2022
    <https://arxiv.org/abs/2204.02610>`_. `S` are the pixels that the
    `EntropyFilter` and the `RedundancyFilter` let through, and the weights
    :math:`e^{E_0 - H_i}` are constants.

    Where this differs from the authors' classifier:

    - A sample is a pixel, and redundant are images, see `RedundancyFilter`;
      ``redundancy='pixel'`` is the published rule.
    - The Fisher information :math:`\omega` comes from 2000 images like the source's
      there. There are none here: it is the mean over the first `fisher_images` images
      of the stream, of the squared gradient of the cross entropy with the model's own
      classes, at the source's weights, and so follows one image behind. Each costs one
      more forward and backward pass.
    - A reset forgets the moving average of predictions too, which the published
      ``reset()`` keeps. The Fisher information is begun anew.

    Args:
        share: `E_0` in shares of the largest entropy.
        margin: :math:`\epsilon` of the `RedundancyFilter`; None does without.
        redundancy: Its level, ``'image'`` or ``'pixel'``.
        fisher_weight: :math:`\alpha`.
        fisher_images: Images that the Fisher information is measured on; 0 does
            without.
        statistics: Of batch normalisation, see `BNStatsDistiller`.
        mixing: Likewise.
        **common: See `AdaptDistiller`.
    """

    shares_forward: ClassVar[bool] = True
    step_state: ClassVar[type[StepState]] = EATAState
    fisher: Tensor
    measured: Tensor

    def __init__(
        self,
        share: float = 0.4,
        margin: float | None = 0.05,
        redundancy: str = 'image',
        fisher_weight: float = 2000.0,
        fisher_images: int = 20,
        statistics: str = 'batch',
        mixing: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(statistics, mixing, **common)
        check_range('fisher_weight', fisher_weight, ge=0)
        check_integer('fisher_images', fisher_images, ge=0)
        self.certain = EntropyFilter(share)
        self.new = (
            None if margin is None else RedundancyFilter(margin, level=redundancy)
        )
        self.fisher_weight, self.fisher_images = fisher_weight, fisher_images

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Makes room for the Fisher information of all that is trained."""
        super().prepare(student, source)
        held = self.fisher_images > 0 and self.fisher_weight > 0
        size = sum(p.numel() for p in self.trained().values()) if held else 0
        self.register_buffer('fisher', torch.zeros(size))
        self.register_buffer('measured', torch.tensor(0))

    def reset(self) -> None:
        """Resets predictions and Fisher information."""
        super().reset()
        if self.new is not None:
            self.new.reset()
        self.fisher.zero_()
        self.measured.zero_()

    def compute_losses(self, batch: Batch) -> dict[str, Tensor] | Skip:
        """Returns the entropy of what counts, and the pull to the source."""
        logits = self.first_logits(batch)
        kept = self.certain(logits.detach())
        if not kept.any():
            return Skip('no pixel is certain enough')
        if self.new is not None:
            # once an image: its second update would find itself redundant
            state: EATAState = batch.state
            if state.new is None:
                state.new = self.new.select(logits.detach().softmax(1), kept)
            kept = kept & state.new
        weights = self.selected(logits)
        weights = kept if weights is None else kept * weights
        if not weights.any():
            return Skip('nothing new')
        uncertainty = entropy(logits)
        limit = self.certain.limit(logits.size(1))
        trust = (limit - uncertainty.detach()).exp()
        losses = {'loss_entropy': weighted_mean(trust * uncertainty, weights)}
        if self.fisher.numel() and self.measured:
            losses['loss_fisher'] = self.fisher_weight * self.pull()
        return losses

    def pull(self) -> Tensor:
        """Returns the squared distance to the source, weighted by the information."""
        source = self.originals
        away = [(p - source[k]).reshape(-1) for k, p in self.trained().items()]
        return (self.fisher * torch.cat(away).square()).sum()

    def after(self, batch: Batch, update: Update) -> None:
        """Measures the Fisher information, on the first images."""
        del update
        if self.fisher.numel() and self.measured < self.fisher_images:
            squares = self.squared_gradient(batch.inputs)
            self.measured += 1
            self.fisher.lerp_(squares, 1 / int(self.measured))

    def squared_gradient(self, inputs: Tensor) -> Tensor:
        """Returns the squared gradient at the source's weights, flat.

        Of the cross entropy with the classes that are predicted there.
        """
        trained = self.trained()
        # nobody scales these gradients, so mixed precision would lose small ones
        full = self.in_precision_of(None)
        with full, self.at_source(trained), torch.enable_grad():
            logits = self.run(self.student, inputs, whole=True)
            loss = hard_cross_entropy(logits, logits.detach().argmax(1)).mean()
            found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
            self.passes.backward()
        flat = [
            (torch.zeros_like(p) if g is None else g).reshape(-1)
            for p, g in zip(trained.values(), found)
        ]
        return torch.cat(flat).square().to(self.fisher)

    @contextmanager
    def at_source(self, trained: dict[str, nn.Parameter]) -> Iterator[None]:
        """Loads the source's weights into the student during the block."""
        source = self.originals
        adapted = {name: weight.detach().clone() for name, weight in trained.items()}
        try:
            with torch.no_grad():
                for name, weight in trained.items():
                    weight.copy_(source[name])
            yield
        finally:
            with torch.no_grad():
                for name, weight in trained.items():
                    weight.copy_(adapted[name])

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        own = {
            'share': self.certain.share,
            'margin': None if self.new is None else self.new.margin,
            'redundancy': None if self.new is None else self.new.level,
            'fisher_weight': self.fisher_weight,
            'fisher_images': self.fisher_images,
        }
        return {**super().describe(), **own}
