"""Two heads on one feature: known classes learn from labels, novel ones do without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext import compat

compat.apply()

from mmpretrain.models import ClsHead  # noqa: E402  (after the patches)

from mmkd_ext.errors import ShapeError, check_integer, check_range  # noqa: E402
from mmkd_ext.registry import MODELS  # noqa: E402

__all__ = ['NovelClassHead', 'sinkhorn']

MOST = 10_000  # iterations


@torch.no_grad()
def sinkhorn(
    scores: Tensor,
    *,
    epsilon: float = 0.05,
    iterations: int | None = 3,
    tolerance: float = 1e-4,
) -> Tensor:
    r"""Returns the balanced assignment of samples to classes.

    The plan of least cost between samples and classes with entropy,
    :math:`\operatorname{diag}(u) \exp(s / \epsilon) \operatorname{diag}(v)`, found by
    scaling classes and samples in turn (`Sinkhorn Distances, NeurIPS 2013
    <https://arxiv.org/abs/1306.0895>`_), in log space and float64. Samples are scaled
    last, so their marginals are exact after any number of iterations; those of the
    classes only once it has converged.

    Args:
        scores: Similarity of samples and classes ``(n k)``, such as cosines.
        epsilon: Weight of the entropy, > 0; a lower one assigns harder.
        iterations: So many as published, three; None goes on until each class has its
            share within ``tolerance``.
        tolerance: Of a class's marginal, as a share of all samples.

    Returns:
        Shares ``(n k)``: each sample's add up to 1, each class's to about ``n / k``.

    Examples:
        >>> sinkhorn(torch.tensor([[1.0, 0.5], [1.0, 0.0]]), iterations=None).round()
        tensor([[0., 1.],
                [1., 0.]])
    """
    check_range('epsilon', epsilon, gt=0)
    log = scores.double() / epsilon
    for _ in range(MOST if iterations is None else iterations):
        log = log - log.logsumexp(0, keepdim=True)
        log = log - log.logsumexp(1, keepdim=True)
        if iterations is None:
            apart = log.exp().mean(0) - 1 / log.shape[1]
            if apart.abs().max() <= tolerance:
                break
    return log.exp().to(scores.dtype)


@MODELS.register_module()
class NovelClassHead(ClsHead):
    """Cosine classifiers of known and of novel classes, side by side.

    Labels below ``num_known`` are learned by cross entropy over all classes. A picture
    of any other label is one of a novel class, and its label is read no further: its
    target in one view is what `sinkhorn` assigns it to in the next, over the novel
    classes. Inspired by the discovery that CR-KD stands on (`A Unified Objective for
    Novel Class Discovery, ICCV 2021 <https://arxiv.org/abs/2108.08536>`_); it has
    several heads, projections and small crops besides.

    Args:
        in_channels: Channels of the feature.
        num_known: Number of known classes.
        num_novel: Number of novel ones; with 0 their pictures are left out.
        views: Number of views of each picture in a training batch, as `mmkd_ext.Views`
            packs them.
        temperature: What cosines are divided by.
        epsilon: See `sinkhorn`.
        iterations: Likewise.
        kwargs: As for mmpretrain's ``ClsHead``.
    """

    def __init__(
        self,
        in_channels: int,
        num_known: int,
        num_novel: int = 0,
        *,
        views: int = 1,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int | None = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_integer('num_known', num_known, ge=1)
        check_integer('num_novel', num_novel, ge=0)
        # what a picture is assigned to must come from another view of it
        check_integer('views', views, ge=2 if num_novel else 1)
        self.num_known, self.views, self.temperature = num_known, views, temperature
        self.epsilon, self.iterations = epsilon, iterations
        self.known = nn.Linear(in_channels, num_known, bias=False)
        self.novel = (
            nn.Linear(in_channels, num_novel, bias=False) if num_novel else None
        )

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Returns the logits of the known classes, then of the novel ones."""
        rows = [head.weight for head in (self.known, self.novel) if head is not None]
        unit = F.normalize(self.pre_logits(feats))
        return F.linear(unit, F.normalize(torch.cat(rows))) / self.temperature

    def loss(
        self, feats: tuple[Tensor, ...], data_samples: Sequence[Any], **kwargs: Any
    ) -> dict[str, Tensor]:
        """Returns the mean cross entropy of both kinds of pictures."""
        logits = self(feats)
        labels = torch.cat([sample.gt_label for sample in data_samples])
        if len(labels) % self.views:
            raise ShapeError(
                f'{len(labels)} pictures are not {self.views} views of each; end the '
                "pipeline with dict(type='mmkd_ext.Views', ...) of as many views as "
                "the head's `views`, and set `collate_fn`."
            )
        is_known = labels < self.num_known
        targets = torch.zeros_like(logits)
        targets[is_known, labels[is_known]] = 1
        if self.novel is not None:
            targets[~is_known, self.num_known :] = self._assigned(logits, is_known)
            is_known = torch.ones_like(is_known)
        entropy = -(targets * logits.log_softmax(1)).sum(1)
        return {'loss': entropy.sum() / is_known.sum().clamp(min=1)}

    def _assigned(self, logits: Tensor, is_known: Tensor) -> Tensor:
        """Returns for each view of novel pictures what the next one is assigned to."""
        cosines = logits[~is_known, self.num_known :] * self.temperature
        views = [
            sinkhorn(one, epsilon=self.epsilon, iterations=self.iterations)
            for one in cosines.chunk(self.views)
        ]
        return torch.cat([*views[1:], views[0]])
