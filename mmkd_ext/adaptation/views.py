"""Augmented views of an image, and the inverse transform of their predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd_ext.errors import ConfigError, check_keys, check_range

if TYPE_CHECKING:
    from mmkd_ext.adaptation.originals import Original
    from mmkd_ext.adaptation.randomness import SeededGenerator

__all__ = [
    'COTTA_VIEWS',
    'MIN_VIEW_SIDE',
    'View',
    'ViewConfig',
    'bounded_views',
    'build_views',
    'mean_probabilities',
]


@dataclass(frozen=True)
class View:
    """One view of an image ``(n c h w)``, normalised as the network wants it.

    Args:
        scale: Factor on height and width.
        flip: Whether left and right are exchanged.
        brightness: Largest amount that is added to all channels, either way, in
            standard deviations of the network's input.
        contrast: Largest relative change of the distance to the image's mean.
        noise: Standard deviation of Gaussian noise on each value.
    """

    scale: float = 1.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_range('views.scale', self.scale, gt=0)
        for name in ('brightness', 'contrast', 'noise'):
            check_range(f'views.{name}', getattr(self, name), ge=0)

    @property
    def is_identity(self) -> bool:
        """Whether it is the image itself."""
        return self == _IDENTITY

    @property
    def is_random(self) -> bool:
        """Whether it draws random numbers."""
        return self.brightness > 0 or self.contrast > 0 or self.noise > 0

    def apply(
        self,
        inputs: Tensor,
        generator: torch.Generator | None = None,
        originals: Sequence[Original] | None = None,
    ) -> Tensor:
        """Returns the view ``(n c h' w')``; the image stays as it is.

        Args:
            inputs: Images ``(n c h w)``.
            generator: For random views, on the device of the images.
            originals: The pictures that the images were resized from. A view of another
                scale is made from these, so that one of twice the size shows more than
                the image; without them, from the images.
        """
        x = inputs
        if self.scale != 1:
            size = [max(1, round(side * self.scale)) for side in x.shape[2:]]
            if originals is None:
                x = F.interpolate(x, size, mode='bilinear', align_corners=False)
            else:
                x = torch.cat([one.resized(size, inputs) for one in originals])
        if self.flip:
            x = x.flip(-1)
        if self.contrast:
            mean = x.mean((1, 2, 3), keepdim=True)
            x = mean + (x - mean) * (1 + self.contrast * _both_ways(x, generator))
        if self.brightness:
            x = x + self.brightness * _both_ways(x, generator)
        if self.noise:
            drawn = torch.randn(
                x.shape, generator=generator, device=x.device, dtype=x.dtype
            )
            x = x + self.noise * drawn
        return x

    def undo(self, scores: Tensor, size: Sequence[int]) -> Tensor:
        """Returns scores ``(n k h w)`` of the view at the place in the image.

        Args:
            scores: Scores ``(n k h' w')`` of the view.
            size: Height and width of the image.
        """
        if self.flip:
            scores = scores.flip(-1)
        if tuple(scores.shape[2:]) != tuple(size):
            scores = F.interpolate(
                scores, list(size), mode='bilinear', align_corners=False
            )
        return scores

    def describe(self) -> dict[str, Any]:
        """Returns what differs from the image itself."""
        plain = asdict(_IDENTITY)
        return {k: v for k, v in asdict(self).items() if v != plain[k]}


def _both_ways(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Returns a number from -1 to 1 for each image."""
    shape = (len(x), 1, 1, 1)
    drawn = torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)
    return 2 * drawn - 1


_IDENTITY = View()
#: The 14 views of CoTTA's code on ACDC: seven scales, each also flipped.
COTTA_VIEWS = tuple(
    View(scale=scale, flip=flip)
    for scale in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    for flip in (False, True)
)
#: Shorter side in pixels below which a view is not shrunk. The smallest published view,
#: half of 960 x 540, has 270; views of 64 x 128 cost 0.4 to 1.8 mIoU on toy streets.
MIN_VIEW_SIDE = 256
ViewConfig = Union[None, str, Sequence[Any]]


def build_views(config: ViewConfig, path: str = 'views') -> tuple[View, ...]:
    """Returns the views that a config means.

    Args:
        config: None for the image alone; ``'cotta'`` for `COTTA_VIEWS`; or a list of
            scales (``0.75``), ``'flip'``, and dicts of `View`'s arguments.
        path: Config path, for messages.

    Examples:
        >>> build_views(['flip', dict(scale=0.5)])[0].flip
        True
    """
    if config is None:
        return (View(),)
    if config == 'cotta':
        return COTTA_VIEWS
    if isinstance(config, str) or not isinstance(config, Sequence) or not config:
        raise ConfigError(
            f"`{path}` must be None, 'cotta' or a list of views, but is {config!r}."
        )
    return tuple(_build(one, f'{path}[{i}]') for i, one in enumerate(config))


def _build(config: Any, path: str) -> View:
    if isinstance(config, View):
        return config
    if config == 'flip':
        return View(flip=True)
    if isinstance(config, (int, float)) and not isinstance(config, bool):
        return View(scale=float(config))
    if not isinstance(config, Mapping):
        raise ConfigError(
            f"`{path}` must be a scale, 'flip' or a dict of {sorted(asdict(View()))}, "
            f'but is {config!r}.'
        )
    check_keys(path, config, sorted(asdict(View())))
    return View(**config)


def bounded_views(
    views: Sequence[View], size: Sequence[int], min_side: int
) -> tuple[View, ...]:
    """Returns the views of an image, none of which is shrunk too far.

    The scale of a view whose shorter side would be below `min_side` is raised until it
    is not, at most to 1. A raised view that is there already is left out.

    Args:
        views: As the config wants them.
        size: Height and width of the image.
        min_side: In pixels.

    Examples:
        >>> views = [View(scale=scale) for scale in (0.5, 0.75, 1.0, 2.0)]
        >>> [view.scale for view in bounded_views(views, (540, 960), 256)]
        [0.5, 0.75, 1.0, 2.0]
        >>> [view.scale for view in bounded_views(views, (400, 800), 256)]
        [0.64, 0.75, 1.0, 2.0]
        >>> [view.scale for view in bounded_views(views, (128, 256), 256)]
        [1.0, 2.0]
    """
    least = min(1.0, min_side / min(size))
    kept: list[View] = []
    for view in views:
        raised = view if view.scale >= least else replace(view, scale=least)
        if raised is view or raised not in (*views, *kept):
            kept.append(raised)
    return tuple(kept)


def mean_probabilities(
    run: Callable[[Tensor], Tensor],
    inputs: Tensor,
    views: Sequence[View],
    generator: SeededGenerator | None = None,
    originals: Sequence[Original] | None = None,
) -> Tensor:
    """Returns class probabilities ``(n k h w)``, the mean over the views.

    The softmax is taken before the prediction is brought back, as mmseg's augmented
    testing does.

    Args:
        run: Gives logits ``(n k h w)`` of images ``(n c h w)``.
        inputs: Images.
        views: At least one.
        generator: Of random views.
        originals: What scaled views are made from, see `View.apply`.
    """
    drawn = None if generator is None else generator.on(inputs.device)
    total: Tensor | None = None
    for view in views:
        scores = run(view.apply(inputs, drawn, originals)).softmax(1)
        scores = view.undo(scores, inputs.shape[2:])
        total = scores if total is None else total + scores
    if total is None:
        raise ConfigError('`views` is empty.')
    return total / len(views)
