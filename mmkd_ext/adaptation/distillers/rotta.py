"""RoTTA: robust batch norm, a memory bank, and an EMA teacher."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mmkd_ext.adaptation.batch import Skip, Update
from mmkd_ext.adaptation.distillers._teacher import TeacherDistiller
from mmkd_ext.adaptation.norms import (
    AdaptiveBatchNorm,
    learning,
    require_batch_norm,
    use_adaptive_norms,
)
from mmkd_ext.adaptation.pseudo_labels import (
    entropy,
    soft_cross_entropy,
    weighted_mean,
)
from mmkd_ext.errors import ConfigError, check_integer, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mmengine.optim import OptimWrapper

    from mmkd_ext.adaptation.batch import Batch
    from mmkd_ext.adaptation.originals import Original
    from mmkd_ext.adaptation.randomness import SeededGenerator
    from mmkd_ext.adaptation.views import ViewConfig

__all__ = ['RecentMemory', 'RoTTADistiller', 'timeliness']

#: What the student sees: mirrored, in another light, with noise.
STRONG_VIEW = (dict(flip=True, brightness=0.5, contrast=0.3, noise=0.05),)


@MODELS.register_module()
class RoTTADistiller(TeacherDistiller):
    r"""Updates now and then, on a memory of recent images, with robust statistics.

    `Robust Test-Time Adaptation in Dynamic Scenarios, CVPR 2023
    <https://arxiv.org/abs/2303.13899>`_. Batch normalisation keeps running statistics
    of the memory,

    .. math::
        \mu \leftarrow (1 - \alpha)\, \mu + \alpha\, \mu_{batch}

    and normalises with them. Every `interval` images the student learns the teacher's
    soft labels on changed views of the images in memory, newer ones more, and the
    teacher follows with the weight :math:`\nu`, 1 - `decay`. The teacher answers.

    Where this differs from the authors' classifier, which stores one label an image:

    - The memory is not balanced over classes: an image of a street has most of them.
      Timeliness and uncertainty, the mean entropy over the pixels, decide alone. 16
      images are kept (there 64), as half floats.
    - An update takes the images of the newest one's size, in one batch.
    - The variance of a batch is biased, as elsewhere here.
    - The student's view is mirrored, with changed light and noise (`views`); the
      authors' is stronger.

    Args:
        alpha: :math:`\alpha`; 0 leaves normalisation alone, also where there is no
            batch normalisation.
        decay: What the teacher keeps of itself in an update.
        buffers: What becomes of its running statistics, see `EMATeacher`; it keeps its
            own by default.
        interval: Images between two updates.
        capacity: Images in memory.
        views: Views of the student, see `AdaptDistiller`; their losses are averaged.
        **common: Likewise.

    Raises:
        ConfigError: `alpha` is above 0 and the network has no batch normalisation.
    """

    def __init__(
        self,
        alpha: float = 0.05,
        decay: float = 0.999,
        buffers: str = 'keep',
        interval: int = 16,
        capacity: int = 16,
        *,
        views: ViewConfig = STRONG_VIEW,
        **common: Any,
    ) -> None:
        super().__init__(decay, buffers, views=views, **common)
        if self.mixing != 0:
            raise ConfigError.at(
                'mixing', 'is not for RoTTA, whose statistics are kept: set `alpha`.'
            )
        check_range('alpha', alpha, ge=0, le=1)
        check_integer('interval', interval, ge=1)
        self.alpha, self.interval = alpha, interval
        self.memory = RecentMemory(capacity)

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Replaces the batch normalisation of student and teacher."""
        if self.alpha > 0:
            require_batch_norm(student, type(self).__name__)
            # predictions use what is kept, and bring nothing of their own
            use_adaptive_norms(student, 0.0, keep=True)
        super().prepare(student, source)

    def reset(self) -> None:
        """Makes the teacher the source, and empties the memory."""
        super().reset()
        self.memory.reset()

    def teacher_predict(
        self,
        inputs: Tensor,
        generator: SeededGenerator,
        originals: Sequence[Original] | None = None,
    ) -> Tensor:
        """Returns the teacher's logits of the image itself."""
        del generator, originals
        return self.run(self.predictor, inputs)

    def update(self, batch: Batch, optim_wrapper: OptimWrapper) -> Update:
        """Remembers the images, and updates when it is time."""
        scores = self.reported(batch)
        classes, before = scores.size(1), self.memory.count
        for image, score in zip(batch.inputs, scores):
            uncertainty = entropy(score[None]).mean().item() / math.log(classes)
            self.memory.add(image, uncertainty)
        if self.memory.count // self.interval == before // self.interval:
            return Update()
        return super().update(batch, optim_wrapper)

    def compute_losses(self, batch: Batch) -> dict[str, Tensor] | Skip:
        """Returns the cross entropy with the teacher, over the memory."""
        images, weights = self.memory.alike(batch.inputs)
        if not len(images):
            return Skip('no image of this size is in the memory')
        with torch.no_grad(), robust(self.teacher, self.alpha):
            taught = self.run(self.predictor, images, whole=True)
        pixels = self.selected(taught)
        generator = self.view_generator.on(images.device)
        losses = []
        for view in self.views_of(images):
            with robust(self.student, self.alpha):
                seen = view.apply(images, generator)
                logits = self.run(self.student, seen, whole=True)
            logits = view.undo(logits, images.shape[2:])
            each = soft_cross_entropy(logits, taught.softmax(1))
            # newer images more, but the mean is over all, as published
            each = each * weights.view(-1, 1, 1)
            losses.append(weighted_mean(each, pixels))
        return {'loss_ce': torch.stack(losses).mean()}

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        own = {
            'alpha': self.alpha,
            'interval': self.interval,
            'capacity': self.memory.capacity,
        }
        return {**super().describe(), **own}


@contextmanager
def robust(model: nn.Module, alpha: float) -> Iterator[None]:
    """Makes batch normalisation update its running statistics and use them."""
    norms = [m for m in model.modules() if isinstance(m, AdaptiveBatchNorm)]
    try:
        for norm in norms:
            norm.momentum = alpha
        with learning(model):
            yield
    finally:
        for norm in norms:
            norm.momentum = 0.0


def timeliness(age: float) -> float:
    r"""Returns the weight of an image in the loss, from 0.5 (now) down to 0.

    .. math::
        e^{-a} / (1 + e^{-a})

    Args:
        age: In fillings of the memory.

    Examples:
        >>> timeliness(0)
        0.5
    """
    return 1 / (1 + math.exp(age))


class RecentMemory(nn.Module):
    r"""Keeps images that are recent and that the teacher is sure of.

    A full memory loses the image with the highest score, unless the new one's is
    higher still:

    .. math::
        \frac{1}{1 + e^{-a / N}} + u

    with the age `a` in images, the capacity `N`, and the uncertainty `u`.

    Args:
        capacity: Number of images.

    Examples:
        >>> memory = RecentMemory(2)
        >>> for number, uncertainty in enumerate([0.9, 0.1, 0.2]):
        ...     memory.add(torch.full((1, 1, 1), float(number)), uncertainty)
        >>> [int(image) for image, _, _ in memory.items]
        [1, 2]
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        check_integer('capacity', capacity, ge=1)
        self.capacity = capacity
        self.reset()

    def reset(self) -> None:
        """Removes all images, and resets the counters."""
        self.items: list[tuple[Tensor, float, int]] = []
        self.count = 0

    def add(self, image: Tensor, uncertainty: float) -> None:
        """Offers an image ``(c h w)``; all others grow older.

        Args:
            image: Normalised.
            uncertainty: From 0 to 1.
        """
        scores = [self.score(u, born) for _, u, born in self.items]
        new = (image.detach().half(), uncertainty, self.count)
        if len(self.items) < self.capacity:
            self.items.append(new)
        elif max(scores) > self.score(uncertainty, self.count):
            del self.items[scores.index(max(scores))]
            self.items.append(new)
        self.count += 1

    def score(self, uncertainty: float, born: int) -> float:
        """Returns how dispensable an image is."""
        age = (self.count - born) / self.capacity
        return 1 / (1 + math.exp(-age)) + uncertainty

    def alike(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the images of a size ``(m c h w)``, and their weights ``(m)``.

        Args:
            inputs: Images ``(n c h w)`` of that size.
        """
        held = [item for item in self.items if item[0].shape == inputs.shape[1:]]
        if not held:
            return inputs[:0], inputs.new_zeros(0)
        # each by itself: mixed precision refuses to stack halves of another kind
        images = torch.stack([image.to(inputs) for image, _, _ in held])
        ages = [(self.count - born) / self.capacity for _, _, born in held]
        return images, inputs.new_tensor([timeliness(age) for age in ages])

    def get_extra_state(self) -> dict[str, Any]:
        """Returns all images and numbers."""
        return {'items': list(self.items), 'count': self.count}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores the images of another one."""
        self.items, self.count = list(state['items']), state['count']
