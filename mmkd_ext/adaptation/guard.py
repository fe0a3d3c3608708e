"""A guard against harm: compares the model with its source on the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.adaptation.decision import AdaptGuard, Decision
from mmkd_ext.adaptation.signals import compare, textured, valid_pixels
from mmkd_ext.errors import check_choice, check_integer, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from mmkd_ext.adaptation.batch import Batch

__all__ = ['CollapseGuard']

SOURCE_NORMS = ('method', 'source')
_SETTINGS = (
    *('limit', 'patience', 'every', 'source_scale', 'source_norm'),
    *('min_valid', 'min_share'),
)


@MODELS.register_module()
class CollapseGuard(AdaptGuard):
    """Lets the source answer while it doubts the model, and resets it if that lasts.

    A model that adapts to its own predictions may drift to a few classes, while its
    loss looks better and better. The guard therefore looks at no loss. It compares the
    model with the frozen source on each image: what share of the IoU that the source
    expects of its own labels is lost with the model's,
    :func:`mmkd_ext.adaptation.signals.compare`. As the source defines what is normal
    for an image, no number depends on a data set.

    An image that has lost more than `limit` is in *doubt*: the source's prediction is
    reported, and nothing is learned from it. After `patience` images in doubt one after
    the other, everything goes back to the source, with optimizer, prototypes and
    buffers. First, do no harm: each image is judged by itself and before it is
    answered, so a model that fell apart a moment ago answers no more, and one that is
    good in one kind of weather only answers there.

    An image with too few valid pixels (blank, or not finite) updates nothing. If the
    image is sound and the prediction is not finite, the weights are broken: that is a
    reset at once.

    Args:
        limit: Share of the expected IoU that an image may lose, above 0 and below 1.
            Chosen with the signal among 20 others, on pictures that no table reports
            (benchmarks/espnetv2_guard.py).
        patience: Images in doubt one after the other that are a reset.
        every: Compares every n-th image only, all while in doubt: one forward pass of
            the source each.
        source_scale: Size of the image that the source sees, as a share of its height
            and width. 0.5 costs a quarter, and lets small classes count less.
        source_norm: ``'method'`` normalises the source as the method does its student,
            so what was learned is compared, not whose statistics are used. ``'source'``
            leaves it its own, with which it may be lost in another domain.
        min_valid: Least share of valid pixels of an image.
        min_share: Share of an image from which a class counts: a few stray pixels are
            no class.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ConfigError: A setting is out of its range.
    """

    def __init__(
        self,
        *,
        limit: float = 0.15,
        patience: int = 8,
        every: int = 1,
        source_scale: float = 1.0,
        source_norm: str = 'method',
        min_valid: float = 0.05,
        min_share: float = 0.001,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_range('limit', limit, gt=0, le=0.99)
        check_integer('patience', patience, ge=1)
        check_integer('every', every, ge=1)
        check_range('source_scale', source_scale, gt=0, le=1)
        check_choice('source_norm', source_norm, SOURCE_NORMS)
        check_range('min_valid', min_valid, ge=0, le=1)
        check_range('min_share', min_share, ge=0, le=1)
        self.limit, self.patience, self.every = limit, patience, every
        self.source_scale, self.source_norm = source_scale, source_norm
        self.min_valid, self.min_share = min_valid, min_share
        self.reset()

    def reset(self) -> None:
        """Resets the guard, at the start of a stream."""
        self.seen = self.doubts = 0

    @property
    def needs_source(self) -> bool:  # type: ignore[override]
        """Whether the next image is compared."""
        return self.doubts > 0 or self.seen % self.every == 0

    def source_inputs(self, inputs: Tensor) -> Tensor:
        """Returns the images as the source is to see them."""
        if self.source_scale == 1:
            return inputs
        size = [max(1, round(side * self.source_scale)) for side in inputs.shape[2:]]
        return F.interpolate(inputs, size, mode='bilinear', antialias=True)

    def decide(
        self, batch: Batch, scores: Tensor, source_scores: Tensor | None
    ) -> Decision:
        """Judges one image."""
        self.seen += 1
        valid = valid_pixels(scores, batch.samples)
        sound = textured(batch.inputs)
        signals = {'valid': _mean(valid & sound)}
        if signals['valid'] < self.min_valid:
            readable = source_scores is None or source_scores.isfinite().any()
            if _mean(sound) < self.min_valid or not readable:
                reason = f'{signals["valid"]:.1%} of the pixels are valid'
                return Decision('skip', reason, signals)
            # the image is sound, so it is the weights that are not, and stay so
            self.doubts = 0
            reason = 'the prediction is not finite'
            return Decision('reset', reason, signals, answer=True)
        if source_scores is None:
            return Decision(signals=signals)
        signals.update(compare(scores, source_scores, valid, self.min_share))
        lost = signals['lost']
        self.doubts = self.doubts + 1 if lost > self.limit else 0
        if not self.doubts:
            return Decision(signals=signals)
        reason = f'lost {lost:.0%} of the expected IoU, limit {self.limit:.0%}'
        if self.doubts < self.patience:
            return Decision('skip', reason, signals, answer=True)
        self.doubts = 0
        reason = f'{reason}, {self.patience} images in a row'
        return Decision('reset', reason, signals, answer=True)

    def get_extra_state(self) -> dict[str, int]:
        """Returns the counters."""
        return {'seen': self.seen, 'doubts': self.doubts}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Restores those of another one."""
        self.seen, self.doubts = state['seen'], state['doubts']

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        return {
            **super().describe(),
            **{name: getattr(self, name) for name in _SETTINGS},
        }


def _mean(mask: Tensor) -> float:
    return float(mask.float().mean())
