"""Augmented views of an image in batches, one for each size."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mmkd_ext.adaptation.originals import Original
    from mmkd_ext.adaptation.views import View

__all__ = ['ViewBatch', 'each_view', 'view_batches']


class ViewBatch(NamedTuple):
    """Views of one size, and their images one after another ``(v*n c h w)``."""

    views: tuple[View, ...]
    inputs: Tensor


def view_batches(
    inputs: Tensor,
    views: Sequence[View],
    generator: torch.Generator | None = None,
    originals: Sequence[Original] | None = None,
) -> list[ViewBatch]:
    """Returns the views of images ``(n c h w)``, those of one size stacked.

    Args:
        inputs: Images.
        views: At least one.
        generator: For random views, on the device of the images.
        originals: What scaled views are made from, see `View.apply`.

    Examples:
        >>> from mmkd_ext.adaptation.views import View
        >>> views = [View(), View(scale=0.5), View(flip=True)]
        >>> for batch in view_batches(torch.zeros(1, 3, 4, 8), views):
        ...     print(len(batch.views), tuple(batch.inputs.shape))
        2 (2, 3, 4, 8)
        1 (1, 3, 2, 4)
    """
    groups: dict[torch.Size, tuple[list[View], list[Tensor]]] = {}
    for view in views:
        image = view.apply(inputs, generator, originals)
        own, images = groups.setdefault(image.shape, ([], []))
        own.append(view)
        images.append(image)
    return [ViewBatch(tuple(own), torch.cat(images)) for own, images in groups.values()]


def each_view(
    batches: Sequence[ViewBatch],
    run: Callable[[Tensor], Tensor],
    size: Sequence[int],
) -> Iterator[tuple[View, Tensor]]:
    """Yields each view with its scores ``(n k h w)``, brought back to the image.

    Args:
        batches: What `view_batches` returned.
        run: Gives scores ``(v*n k h w)`` of images ``(v*n c h w)``.
        size: Height and width of the image.
    """
    for batch in batches:
        parts = run(batch.inputs).chunk(len(batch.views))
        for view, part in zip(batch.views, parts):
            yield view, view.undo(part, size)
