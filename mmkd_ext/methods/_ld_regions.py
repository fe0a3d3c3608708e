"""The regions of LD: which positions of the pyramid a loss looks at, and how much.

Each is a connector on the student's head itself; what else it needs is ``given``:

.. code-block:: python

    region=dict(of='student', at=dict(type='Module', source='bbox_head'),
                connector=dict(type='mmkd_ext.LDValuableRegion'),
                given=dict(logits=dict(of='student', at='bbox_head', item=0),
                           data_samples=dict(of='batch', at='data_samples')))

and returns one map ``(n h w)`` a level, 0 outside of the region. The head is known by
what it has: ``reg_max``, and a ``prior_generator`` with one anchor a position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import torch
from torch import Tensor, nn

from mmkd_ext.errors import (
    ConfigError,
    ShapeError,
    check_integer,
    check_range,
    check_shapes,
)
from mmkd_ext.functional.regions import (
    distribution_boxes,
    fine_grained_region,
    general_instances,
    inside_region,
    valuable_region,
)
from mmkd_ext.methods._base import Levels, pair_levels
from mmkd_ext.methods._boxes import boxes_of
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    'LDFineGrainedRegion',
    'LDGIRegion',
    'LDInsideRegion',
    'LDMainRegion',
    'LDValuableRegion',
]

Region = Callable[['list[Tensor]', Tensor], Tensor]


@MODELS.register_module()
class LDMainRegion(nn.Module):
    r"""The positive anchors, each weighted by the student's best class score.

    .. math:: r_{nyx} = [l_{nyx} < K] \max_k \sigma(z^S_{nkyx})

    The labels are those that the student's own assigner gave, as its classification
    loss sees them; so nothing is assigned twice. No gradient flows.
    """

    @torch.no_grad()
    def forward(
        self, head: nn.Module, *, logits: Levels, targets: Any
    ) -> tuple[Tensor, ...]:
        """Returns the region of each level.

        Args:
            head: The student's box head.
            logits: Its class logits, ``(n k h w)`` a level.
            targets: Second input of its ``loss_cls``, one call a level: labels
                ``(n*h*w)``, of which `k` and more and negative ones are no objects, or
                a tuple that begins with them.

        Raises:
            ConfigError: The head has no distributions.
            ShapeError: Labels and logits do not belong together.
        """
        _check_head(head)
        maps = _maps(logits)
        if not isinstance(targets, (list, tuple)) or len(targets) != len(maps):
            found = (
                len(targets)
                if isinstance(targets, (list, tuple))
                else type(targets).__name__
            )
            raise ShapeError(
                f'`targets` must be the labels of {len(maps)} levels, but is {found}; '
                "tap the inputs of `bbox_head.loss_cls` with call='all', item=1."
            )
        return tuple(_positives(*level) for level in zip(maps, targets))


def _positives(logits: Tensor, target: Any) -> Tensor:
    labels = target[0] if isinstance(target, (list, tuple)) else target
    n, k, h, w = logits.shape
    if not isinstance(labels, Tensor) or labels.numel() != n * h * w:
        found = tuple(labels.shape) if isinstance(labels, Tensor) else labels
        raise ShapeError(
            f'`targets` must have a label for each of the {n}x{h}x{w} positions of '
            f'`logits`, but is {found}.'
        )
    labels = labels.reshape(n, h, w)
    scores = _at_least_float32(logits).sigmoid().amax(1)
    return torch.where((labels >= 0) & (labels < k), scores, torch.zeros_like(scores))


@MODELS.register_module()
class LDValuableRegion(nn.Module):
    """The valuable localization region (VLR): anchors near a box but not quite on it.

    See :func:`~mmkd_ext.functional.valuable_region` for the equation. Anchors that
    lie in the padding of an image take no part, as in its assigner.

    Args:
        nearest: Candidates of each level for the threshold of a box (`topk` of ATSS).
        low: The region begins at this share of the threshold.
        published_diou: Measure as the authors' code does, with which the published
            figures were made: it takes the anchor's area for that of the union.
    """

    def __init__(
        self, nearest: int = 9, low: float = 0.25, *, published_diou: bool = False
    ) -> None:
        super().__init__()
        check_integer('nearest', nearest, low=1)
        check_range('low', low, low=0, high=1)
        self.nearest = nearest
        self.low = low
        self.published_diou = published_diou

    def forward(
        self, head: nn.Module, *, logits: Levels, data_samples: Sequence[Any]
    ) -> tuple[Tensor, ...]:
        """Returns the region of each level, weighted by IoU.

        Args:
            head: The student's box head.
            logits: Its class logits, ``(n k h w)`` a level; their sizes are used.
            data_samples: Samples of the batch.

        Raises:
            ConfigError: The head has no distributions.
            ShapeError: Samples, levels and anchors do not belong together.
        """
        return _over_images(
            head,
            logits,
            data_samples,
            lambda anchors, boxes: valuable_region(
                anchors,
                boxes,
                nearest=self.nearest,
                low=self.low,
                published_diou=self.published_diou,
            ),
        )


@MODELS.register_module()
class LDInsideRegion(nn.Module):
    """The anchors whose centre lies inside a box, on every level."""

    def forward(
        self, head: nn.Module, *, logits: Levels, data_samples: Sequence[Any]
    ) -> tuple[Tensor, ...]:
        """Returns the region of each level; see `LDValuableRegion.forward`."""
        return _over_images(
            head,
            logits,
            data_samples,
            lambda anchors, boxes: inside_region(torch.cat(anchors), boxes),
        )


@MODELS.register_module()
class LDFineGrainedRegion(nn.Module):
    """The anchors that overlap a box at least half as much as its best one.

    Args:
        share: What "half" is, between 0 and 1.
    """

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        check_range('share', share, low=0, high=1)
        self.share = share

    def forward(
        self, head: nn.Module, *, logits: Levels, data_samples: Sequence[Any]
    ) -> tuple[Tensor, ...]:
        """Returns the region of each level; see `LDValuableRegion.forward`."""
        return _over_images(
            head,
            logits,
            data_samples,
            lambda anchors, boxes: fine_grained_region(
                torch.cat(anchors), boxes, share=self.share
            ),
        )


@MODELS.register_module()
class LDGIRegion(nn.Module):
    """The general instances (GI): where student and teacher disagree on the class.

    Chosen in each image and level on its own, since the imitation loss is a mean of
    each level, and boxes of different images shall not suppress each other.

    Args:
        overlap: IoU above which non-maximum suppression drops a box.
        count: Positions of an image and level that are kept at most.
    """

    def __init__(self, overlap: float = 0.3, count: int = 10) -> None:
        super().__init__()
        check_range('overlap', overlap, low=0, high=1)
        check_integer('count', count, low=1)
        self.overlap = overlap
        self.count = count

    @torch.no_grad()
    def forward(
        self,
        head: nn.Module,
        *,
        logits_S: Levels,
        logits_T: Levels,
        bins_S: Levels,
        bins_T: Levels,
    ) -> tuple[Tensor, ...]:
        """Returns the region of each level, 1 inside.

        Args:
            head: The student's box head.
            logits_S: Class logits of the student, ``(n k h w)`` a level.
            logits_T: Those of the teacher.
            bins_S: Box distributions of the student, ``(n b h w)`` a level.
            bins_T: Those of the teacher.

        Raises:
            ConfigError: The head has no distributions.
            ShapeError: The four do not belong together, as with other classes.
        """
        _check_head(head)
        logits, bins = pair_levels(logits_S, logits_T), pair_levels(bins_S, bins_T)
        anchors = _anchors(head, [level for level, _ in logits])
        if len(bins) != len(logits):
            raise ShapeError(
                f'`bins_S` has {len(bins)} levels, `logits_S` {len(logits)}.'
            )
        generator: Any = head.prior_generator
        regions = []
        for scores, boxes, level, stride in zip(
            logits, bins, anchors, generator.strides
        ):
            centers = (level[:, :2] + level[:, 2:]) / 2
            sides = [
                (
                    _at_least_float32(score).flatten(2),
                    distribution_boxes(_at_least_float32(box), centers, stride[0]),
                )
                for score, box in zip(scores, boxes)
            ]
            kept = general_instances(*sides, overlap=self.overlap, count=self.count)
            regions.append(kept.reshape(-1, *scores[0].shape[2:]).float())
        return tuple(regions)


# ---- what they share ----------------------------------------------------------------


@torch.no_grad()
def _over_images(
    head: nn.Module, logits: Levels, data_samples: Sequence[Any], region: Region
) -> tuple[Tensor, ...]:
    """Computes a region of anchors and boxes for each image; splits it into levels."""
    _check_head(head)
    maps = _maps(logits)
    anchors = _anchors(head, maps)
    boxes = boxes_of(data_samples)
    if len(boxes) != len(maps[0]):
        raise ShapeError(
            f'there are {len(boxes)} samples, but `logits` are of {len(maps[0])} '
            'images; both must be of the same batch.'
        )
    images = []
    for sample, some in zip(data_samples, boxes):
        flags = _valid_flags(head, maps, sample)
        levels = [level[flag] for level, flag in zip(anchors, flags)]
        values = region(levels, some.to(levels[0]))
        valid = torch.cat(list(flags))
        image = values.new_zeros(valid.shape, dtype=torch.float32)
        image[valid] = values.float()
        images.append(image)
    sizes = [level.shape[2:] for level in maps]
    parts = torch.split(torch.stack(images), [h * w for h, w in sizes], dim=1)
    return tuple(part.reshape(-1, *size) for part, size in zip(parts, sizes))


def _check_head(head: nn.Module) -> None:
    name = type(head).__name__
    if not hasattr(head, 'reg_max') or not hasattr(head, 'prior_generator'):
        raise ConfigError(
            f'`{name}` has no `reg_max`, so its boxes are no distributions, but LD '
            'needs a GFL-type head (`GFLHead`), which predicts reg_max + 1 logits for '
            'each side of a box. Use a feature method, or another pair.'
        )


def _maps(logits: Levels) -> list[Tensor]:
    """Returns the levels of a pyramid of maps, checked."""
    maps = [logits] if isinstance(logits, Tensor) else list(logits)
    if not maps:
        raise ShapeError('`logits` must have at least one level.')
    patterns = {f'logits[{i}]': (x, f'n k h{i} w{i}') for i, x in enumerate(maps)}
    check_shapes(**patterns)
    return maps


def _anchors(head: nn.Module, maps: Sequence[Tensor]) -> list[Tensor]:
    """Returns the anchors of each level ``(a 4)``, one a position, row by row."""
    generator: Any = head.prior_generator
    if generator.num_levels != len(maps):
        raise ShapeError(
            f'`{type(head).__name__}` has anchors for {generator.num_levels} levels, '
            f'but `logits` has {len(maps)}; tap all of them.'
        )
    sizes = [tuple(level.shape[2:]) for level in maps]
    anchors: list[Tensor] = generator.grid_priors(sizes, device=maps[0].device)
    for level, (h, w) in zip(anchors, sizes):
        if len(level) != h * w:
            raise ShapeError(
                f'`{type(head).__name__}` has {len(level) // (h * w)} anchors a '
                'position, but LD needs one.'
            )
    return anchors


def _valid_flags(
    head: nn.Module, maps: Sequence[Tensor], sample: Any
) -> Sequence[Tensor]:
    """Returns which anchors of each level do not lie in the padding of an image."""
    sizes = [tuple(level.shape[2:]) for level in maps]
    device = maps[0].device
    size = getattr(sample, 'metainfo', {}).get('pad_shape')
    if size is None:
        return [torch.ones(h * w, dtype=torch.bool, device=device) for h, w in sizes]
    generator: Any = head.prior_generator
    flags: list[Tensor] = generator.valid_flags(sizes, size, device=device)
    return flags


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
