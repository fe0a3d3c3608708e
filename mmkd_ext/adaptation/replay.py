"""A replay buffer of hard images of the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mmkd_ext.adaptation.pixels import thumbnail
from mmkd_ext.adaptation.randomness import SeededGenerator
from mmkd_ext.errors import check_integer, check_range, check_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ['ReplayBuffer', 'input_gradient', 'variance_of_gradients']


def input_gradient(
    run: Callable[[Tensor], Tensor], inputs: Tensor, labels: Tensor
) -> Tensor:
    r"""Returns how the logits of the labels depend on each value of the images.

    .. math::
        G = \frac{\partial}{\partial x} \sum_i z_{i, y_i}

    The sum over pixels keeps the size of `G` free of the size of the image. Gradients
    of weights are neither computed nor touched.

    Args:
        run: Gives logits ``(n k h w)`` of images ``(n c h w)``.
        inputs: Images.
        labels: A class for each pixel ``(n h w)``; none is ignored.

    Returns:
        Gradient of the shape of the images.
    """
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        logits = run(inputs)
        check_shapes(logits=(logits, 'n k h w'), labels=(labels, 'n h w'))
        chosen = logits.gather(1, labels.unsqueeze(1)).sum()
    return torch.autograd.grad(chosen, inputs)[0]


def variance_of_gradients(gradients: Sequence[Tensor]) -> Tensor:
    r"""Returns the VoG score of each image: how much models disagree on what matters.

    .. math::
        \frac{1}{N} \sum_p \sqrt{\frac{1}{K} \sum_t (G_{tp} - \mu_p)^2}

    `Estimating Example Difficulty using Variance of Gradients, CVPR 2022
    <https://arxiv.org/abs/2008.11600>`_, without its normalisation by class, as an
    image of a street has many. For two models it is half the mean absolute difference
    of their gradients, so 0 where nothing was learned between them.

    Args:
        gradients: One for each model, all ``(n c h w)``.

    Returns:
        ``(n)``, never negative.

    Examples:
        >>> a, b = torch.zeros(1, 1, 1, 2), torch.tensor([[[[2.0, 4.0]]]])
        >>> variance_of_gradients([a, b])
        tensor([1.5000])
    """
    stacked = torch.stack(list(gradients))
    return stacked.std(0, unbiased=False).flatten(1).mean(1)


class ReplayBuffer(nn.Module):
    """Keeps the hardest images of each domain, as bytes, and schedules their replay.

    An image that scores high may be hard, or wrongly labelled. So no label is kept: the
    teacher of the moment labels an image when it is replayed, and what a replay may
    weigh is bounded. Each domain has its own quota, so that night cannot drive out
    the rest; within it the lowest score makes room.

    Args:
        every: Images from one replay to the next.
        quota: Images kept of each domain.
        images: Images in a replay, drawn at random from all that are kept.
        weight: Weight of their loss.
        cap: Largest share of the image's own cross entropy that a replay may weigh.
        score_interval: Every how many images one is scored. Scoring takes two passes
            forward and two back, and neighbours in a drive are much alike.
        seed: Of the draws.
    """

    def __init__(
        self,
        every: int = 100,
        quota: int = 8,
        images: int = 2,
        weight: float = 1.0,
        cap: float = 1.0,
        score_interval: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name in ('every', 'quota', 'images', 'score_interval'):
            check_integer(name, locals()[name], ge=1)
        check_range('weight', weight, ge=0)
        check_range('cap', cap, ge=0)
        self.every = every
        self.quota = quota
        self.images = images
        self.weight = weight
        self.cap = cap
        self.score_interval = score_interval
        self.generator = SeededGenerator(seed)
        self.reset()

    def reset(self) -> None:
        """Removes all images; the generator keeps its state."""
        self.items: list[dict[str, Any]] = []
        self.seen = 0
        self.since = 0

    # ---- schedule -----------------------------------------------------------------

    @property
    def wants_score(self) -> bool:
        """Whether the current image is to be scored."""
        return self.seen % self.score_interval == 0

    @property
    def is_due(self) -> bool:
        """Whether to replay with the current image; later where updates failed."""
        return self.since + 1 >= self.every and bool(self.items)

    def count(self, *, replayed: bool) -> None:
        """Counts an image of the stream."""
        self.seen += 1
        self.since = 0 if replayed else self.since + 1

    # ---- images -------------------------------------------------------------------

    def offer(self, image: Tensor, score: float, domain: str, step: int) -> bool:
        """Keeps an image if it is among the hardest of its domain; returns whether.

        Args:
            image: Bytes ``(c h w)``.
            score: Its VoG; an image with a score of 0, or not finite, is refused.
            domain: Its domain.
            step: Its place in the stream.
        """
        if not 0 < score < float('inf'):
            return False
        own = [item for item in self.items if item['domain'] == domain]
        if len(own) >= self.quota:
            easiest = min(own, key=lambda item: item['score'])
            if easiest['score'] >= score:
                return False
            self.items = [item for item in self.items if item is not easiest]
        # a copy: a view would keep the whole batch
        new = {'domain': domain, 'score': score, 'step': step, 'image': image.clone()}
        self.items = [*self.items, new]
        return True

    def draw(self) -> list[Tensor]:
        """Returns images to replay, bytes ``(c h w)``, no one twice."""
        order = torch.randperm(len(self.items), generator=self.generator.on('cpu'))
        return [self.items[i]['image'] for i in order[: self.images].tolist()]

    def bounded(self, loss: Tensor, own: Tensor) -> Tensor:
        """Returns the loss of a replay, weighted, at most `cap` times the image's own.

        Args:
            loss: Cross entropy of the replayed images.
            own: Cross entropy of the image of the stream.
        """
        limit = self.cap * own.detach() / loss.detach().clamp_min(1e-12)
        return loss * limit.clamp_max(self.weight)

    # ---- for the report and for saving --------------------------------------------

    def report(self, preprocessor: nn.Module) -> list[dict[str, Any]]:
        """Returns what is kept, the hardest first, with a small picture of each."""
        ordered = sorted(self.items, key=lambda item: -item['score'])
        return [
            {
                'domain': item['domain'],
                'score': item['score'],
                'step': item['step'],
                'thumbnail': thumbnail(item['image'], preprocessor),
            }
            for item in ordered
        ]

    def describe(self) -> dict[str, Any]:
        """Returns its settings."""
        names = ('every', 'quota', 'images', 'weight', 'cap', 'score_interval')
        return {name: getattr(self, name) for name in names}

    def get_extra_state(self) -> dict[str, Any]:
        """Returns images, scores and counters."""
        # items are replaced, never changed, so a list of the same ones is a snapshot
        return {
            'items': [dict(item) for item in self.items],
            'seen': self.seen,
            'since': self.since,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores those of a saved stream."""
        self.items = [dict(item) for item in state['items']]
        self.seen, self.since = state['seen'], state['since']
