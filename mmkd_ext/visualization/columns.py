"""The columns of a figure, from the values that a link compares.

Features are shown by their mean absolute value over the channels, class scores by the
highest one. Methods add what is their own: masks, attention, regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.distillers.links import STUDENT
from mmkd_ext.functional.attention import spatial_attention
from mmkd_ext.functional.boxes import box_levels, box_mask
from mmkd_ext.methods._boxes import boxes_of, image_sizes
from mmkd_ext.methods.defeat import DeFeatLoss
from mmkd_ext.methods.fgd import FGDLoss, focal_maps
from mmkd_ext.methods.fgfi import FGFILoss, imitation_masks
from mmkd_ext.visualization.probe import sides_of, tap_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmkd_ext.distillers.links import Tap
    from mmkd_ext.visualization.probe import Comparison

__all__ = ['Panel', 'Row', 'colour_table', 'kind_of', 'own_panels', 'rows_of']

Colours = Optional[Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Panel:
    """One map.

    Args:
        title: What it is; the same in each row of a column.
        values: Numbers ``(h w)``, or colours ``(h w 3)`` from 0 to 255.
        scale: Panels of a row with the same scale share the colours; it says what
            they count.
        cmap: Matplotlib's name of the colours.
        low: Lower end of the scale, None for the least value.
        high: Upper end, None for the greatest value.
        log: Whether colours follow the logarithm; 0 is then left dark.
    """

    title: str
    values: NDArray[Any]
    scale: str = ''
    cmap: str = 'viridis'
    low: float | None = None
    high: float | None = None
    log: bool = False


@dataclass(frozen=True)
class Row:
    """One level, or one reading of it.

    Args:
        name: What stands beside it.
        panels: Its maps, from left to right.
        below: A panel for the column of the picture.
    """

    name: str
    panels: list[Panel]
    below: Panel | None = None


@dataclass(frozen=True)
class _Kind:
    """How tensors ``(c h w)`` become maps ``(h w)``, and what their scales count."""

    name: str
    strength: Callable[[Tensor], Tensor]
    difference: Callable[[Tensor, Tensor], Tensor]
    apart: str
    high: float | None = None


FEATURES = _Kind(
    'mean |activation| over channels',
    lambda x: x.abs().mean(0),
    lambda s, t: (t - s).abs().mean(0),
    'mean |teacher - student|',
)
CLASSES = _Kind(
    'probability of the likeliest class',
    lambda x: x.softmax(0).amax(0),
    lambda s, t: 0.5 * (t.softmax(0) - s.softmax(0)).abs().sum(0),
    'total variation of the class probabilities',
    high=1.0,
)
SCORES = _Kind(
    'highest class score',
    lambda x: x.sigmoid().amax(0),
    lambda s, t: (t.sigmoid() - s.sigmoid()).abs().amax(0),
    'largest difference of a score',
)


def _edges(bins: int) -> _Kind:
    """How the distributions ``(4*bins h w)`` of a box's four edges are read."""

    def split(x: Tensor) -> Tensor:
        return x.unflatten(0, (-1, bins)).softmax(1)

    return _Kind(
        'entropy of an edge, mean of four, in nats',
        lambda x: torch.special.entr(split(x)).sum(1).mean(0),
        lambda s, t: 0.5 * (split(t) - split(s)).abs().sum(1).mean(0),
        'total variation of the edges, mean of four',
    )


def kind_of(model: nn.Module, tap: Tap | None, channels: int) -> _Kind:
    """Returns how the maps of a tap are read.

    Logits are told from features by the head that the tap lies in: its number of
    classes, and for a GFL head its number of bins.
    """
    if tap is None or tap.connector is not None or tap.source.kind != 'ModuleOutputs':
        return FEATURES
    head = _head_of(model, tap.source.name)
    if head is None:
        return FEATURES
    reg_max = getattr(head, 'reg_max', None)
    if isinstance(reg_max, int) and channels == 4 * (reg_max + 1):
        return _edges(reg_max + 1)
    word = tap.source.name.rsplit('.', 1)[-1]
    named = 'cls' in word or 'seg' in word or str(tap.item) == '0'
    scores = getattr(head, 'cls_out_channels', None)
    if isinstance(scores, int) and scores > 0:
        sigmoid = getattr(head, 'use_sigmoid_cls', True)
        whole = channels % scores == 0
        return SCORES if named and whole and sigmoid else FEATURES
    sizes = [getattr(head, name, None) for name in ('out_channels', 'num_classes')]
    return CLASSES if channels in sizes and channels > 1 else FEATURES


def _head_of(model: nn.Module, name: str) -> nn.Module | None:
    """Returns the module with classes that holds a module, or is it."""
    heads = (
        module
        for path, module in reversed([*model.named_modules(remove_duplicate=False)])
        if f'{name}.'.startswith(f'{path}.') and hasattr(module, 'num_classes')
    )
    return next(heads, None)


def rows_of(
    comparison: Comparison,
    model: nn.Module,
    *,
    levels: Sequence[int] | None = None,
    palette: Colours = None,
    truth: NDArray[Any] | None = None,
    own_scales: bool = False,
) -> list[Row]:
    """Returns a row for each level: teacher, student, difference, and the method's.

    Class logits get a second row with the likeliest classes. The comparison is on one
    image; ``model`` is the student, whose heads tell logits from features.
    """
    tap = tap_of(comparison.link, sides_of(comparison.link)[0])
    chosen = range(len(comparison.levels)) if levels is None else levels
    if tap is not None and tap.of != STUDENT:
        tap = None
    extra = own_panels(comparison)
    rows = []
    for level in chosen:
        student, teacher = (x[0].detach().float() for x in comparison.levels[level])
        kind = kind_of(model, tap, student.shape[0])
        panels = _pair(kind, student, teacher) + extra[level]
        if own_scales:
            panels = [
                replace(p, scale=f'{p.title}: {p.scale}', low=None, high=None)
                for p in panels
            ]
        size = f'{teacher.shape[1]} x {teacher.shape[2]}'
        name = f'level {level}: {size}' if len(comparison.levels) > 1 else size
        rows.append(Row(name, panels))
        if kind is CLASSES:
            rows.append(_class_row(student, teacher, palette, truth))
    return rows


def _pair(kind: _Kind, student: Tensor, teacher: Tensor) -> list[Panel]:
    """Teacher, student and what separates them."""
    if student.shape == teacher.shape:
        difference = kind.difference(student, teacher)
    else:
        # a loss of another package that compares what does not fit
        resized = F.interpolate(
            kind.strength(student)[None, None], teacher.shape[1:], mode='bilinear'
        )
        difference = (kind.strength(teacher) - resized[0, 0]).abs()
    return [
        _panel('teacher', kind.strength(teacher), kind.name, 'viridis', kind.high),
        _panel('student', kind.strength(student), kind.name, 'viridis', kind.high),
        _panel('difference', difference, kind.apart, 'magma'),
    ]


def _class_row(
    student: Tensor, teacher: Tensor, palette: Colours, truth: NDArray[Any] | None
) -> Row:
    """Likeliest class of each position, below the truth."""
    table = colour_table(palette, student.shape[0])
    best = [_numpy(x.argmax(0)).astype(np.int64) for x in (teacher, student)]
    names = ('teacher', 'student')
    panels = [Panel(name, table[classes]) for name, classes in zip(names, best)]
    if best[0].shape == best[1].shape:
        # where they agree, nothing; elsewhere the teacher's class
        apart = (best[0] != best[1])[..., None]
        panels.append(Panel('difference', np.where(apart, panels[0].values, 0)))
    below = None
    if truth is not None:
        inside = (truth >= 0) & (truth < len(table))
        colours = np.where(inside[..., None], table[np.where(inside, truth, 0)], 0)
        below = Panel('truth', colours.astype(np.uint8))
    return Row('likeliest class', panels, below)


def colour_table(palette: Colours, count: int) -> NDArray[Any]:
    """Returns a colour ``(count 3)`` for each class; a short palette is repeated."""
    if palette is not None and len(palette) >= count:
        return np.asarray(palette, np.uint8)[:count]
    from matplotlib import colormaps

    colours = (255 * colormaps['tab20'](np.arange(20))[:, :3]).astype(np.uint8)
    return np.asarray(colours[np.arange(count) % len(colours)])


def _numpy(x: Tensor) -> NDArray[Any]:
    return np.asarray(x.detach().cpu().numpy())


def _panel(
    title: str, values: Tensor, scale: str, cmap: str, high: float | None = None
) -> Panel:
    """Returns a map ``(h w)`` on a scale from 0."""
    return Panel(title, _numpy(values.float()), scale, cmap, low=0.0, high=high)


# ---- panels of methods ---------------------------------------------------------------


def own_panels(comparison: Comparison) -> list[list[Panel]]:
    """Returns what a link's method adds to each level."""
    loss = comparison.loss
    if isinstance(loss, FGDLoss):
        panels = _fgd_panels(comparison, loss)
    elif isinstance(loss, DeFeatLoss):
        panels = _defeat_panels(comparison, loss)
    elif isinstance(loss, FGFILoss):
        panels = _fgfi_panels(comparison, loss)
    else:
        panels = [[] for _ in comparison.levels]
    for title, region in comparison.regions.items():
        for level, values in enumerate(region):
            scale = f'weight of a position in {title}'
            panels[level].append(_panel(title, values[0], scale, 'cividis'))
    return panels


def _fgd_panels(comparison: Comparison, loss: FGDLoss) -> list[list[Panel]]:
    """Masks and spatial attention by which FGD weighs the difference."""
    samples = comparison.values['data_samples']
    boxes = boxes_of(samples)
    sizes = image_sizes(samples, padded=not loss.published_frame)
    panels = []
    options: dict[str, Any] = dict(tau=loss.tau, divide_first=loss.published_frame)
    name = f'spatial attention, tau {loss.tau:g}, mean 1'
    for student, teacher in comparison.levels:
        maps = focal_maps(teacher.float(), boxes, sizes, **options)
        attention = spatial_attention(student.float(), tau=loss.tau)
        inside, outside = maps.foreground[0], maps.background[0]
        smallest = '1 / cells of the smallest box'
        panels.append([
            Panel('foreground mask', _numpy(inside), smallest, 'cividis', log=True),
            _panel('background mask', outside, '1 / cells without a box', 'cividis'),
            _panel('attention, teacher', maps.spatial[0], name, 'inferno'),
            _panel('attention, student', attention[0], name, 'inferno'),
        ])
    return panels


def _defeat_panels(comparison: Comparison, loss: DeFeatLoss) -> list[list[Panel]]:
    """The boxes of each level."""
    samples = comparison.values['data_samples']
    boxes, sizes = boxes_of(samples), image_sizes(samples)
    count, scale = len(comparison.levels), loss.finest_scale
    of_level = [box_levels(some, count, finest_scale=scale) for some in boxes]
    panels = []
    for level, (student, _) in enumerate(comparison.levels):
        here = [some == level for some in of_level]
        size = (student.shape[2], student.shape[3])
        mask = box_mask(boxes, sizes, size, counts=here)
        panels.append([_mask_panel('boxes of the level', mask)])
    return panels


def _fgfi_panels(comparison: Comparison, loss: FGFILoss) -> list[list[Panel]]:
    """Where anchors overlap boxes well enough."""
    generator = comparison.values['head'].prior_generator
    sizes = [(s.shape[2], s.shape[3]) for s, _ in comparison.levels]
    anchors = generator.grid_priors(sizes, device=comparison.levels[0][0].device)
    boxes = boxes_of(comparison.values['data_samples'])
    masks = imitation_masks(anchors, boxes, sizes, threshold=loss.threshold)
    return [[_mask_panel('imitation mask', mask)] for mask in masks]


def _mask_panel(title: str, mask: Tensor) -> Panel:
    return _panel(title, mask[0], '1 inside, 0 outside', 'cividis', 1.0)
