"""FGFI: cases for the laws, the slow twins, and what is special to it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from slow_parts import boxed, iou, noise, zeros

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import FGFILoss
from mmkd_ext.methods.fgfi import imitation_masks
from mmkd_ext.testing.laws import KnownValue, LossCase, pair


class Anchors:
    """Squares of 16 around cells of 16, one for each cell, as mmdet orders them."""

    def __init__(self, strides=(16,)):
        self.strides = strides
        self.num_levels = len(strides)

    def grid_priors(self, sizes, device):
        levels = [torch.tensor([[x, y, x + 1.0, y + 1] for y in range(h)
                                for x in range(w)]) for h, w in sizes]
        return [stride * level for stride, level in zip(self.strides, levels)]


def head(*strides):
    return SimpleNamespace(prior_generator=Anchors(strides or (16,)))


def extras(*samples, strides=(16,)):
    return {'data_samples': list(samples), 'head': head(*strides)}


# The box is the cell (row 1, column 2) and a quarter of its right neighbour: overlaps
# 16/20 with the first, 4/32 with the second, 0 with the others; half of 0.8 is 0.4.
QUARTER = boxed((32.0, 16.0, 52.0, 32.0))
# with half of the neighbour they are 16/24 and 8/32: 0.25 is not above 0.333
# with three quarters 16/28 and 12/32: 0.375 is above 0.286
THREE_QUARTERS = boxed((32.0, 16.0, 60.0, 32.0))
ZEROS = torch.zeros(1, 3, 4, 6)
SPIKE = torch.zeros(1, 3, 4, 6)
SPIKE[0, :, 1, 2] = 2.0
SPIKE[0, :, 0, 0] = 9.0  # nothing is near it
CASES = [
    LossCase(
        FGFILoss,
        inputs=pair(2, 3, 4, 6),
        # both images have their objects wherever a mean over the batch could hide it
        extras=lambda generator: extras(
            boxed((0.0, 0.0, 96.0, 64.0), (32.0, 16.0, 60.0, 32.0)), QUARTER),
        values=[
            KnownValue(ZEROS, SPIKE, 3 * 4 / 2, 'one place, by hand', extras(QUARTER)),
            KnownValue(
                ZEROS, SPIKE, 3 * 4 / (2 * 2), 'two places, one differs',
                extras(THREE_QUARTERS)),
            KnownValue(ZEROS, SPIKE, 0, 'no boxes', extras(boxed()))],
        exempt={'pyramids_sum_over_levels': 'a mean over the places of all levels'},
    ),
    LossCase(
        FGFILoss, {'threshold': 0.0}, inputs=pair(2, 3, 4, 6),
        extras=lambda generator: extras(QUARTER, THREE_QUARTERS),
        values=[
            KnownValue(
                ZEROS, SPIKE, 3 * 4 / (2 * 2), 'whatever overlaps', extras(QUARTER))],
        exempt={'pyramids_sum_over_levels': 'a mean over the places of all levels'}),
]


def mask_of(*samples, strides=(16,), sizes=((4, 6),), threshold=0.5):
    return imitation_masks(
        Anchors(strides).grid_priors(sizes, None),
        [one.gt_instances.bboxes for one in samples], sizes, threshold=threshold)


def test_the_best_anchor_is_that_of_all_levels():
    # alone, the coarse level's best would be its own; next to the fine one it is poor
    sizes = ((4, 6), (1, 1))
    alone = mask_of(QUARTER, strides=(64,), sizes=((1, 1),))[0]
    fine, coarse = mask_of(QUARTER, strides=(16, 64), sizes=sizes)
    assert alone.sum() == 1
    assert fine.sum() == 1
    assert coarse.sum() == 0


def test_some_anchor_of_a_place_is_enough():
    small = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 4)
    good = Anchors().grid_priors([(2, 2)], None)[0]
    anchors = torch.stack([small, good, small], 1).reshape(-1, 4)
    (mask,) = imitation_masks(
        [anchors], [torch.tensor([[16.0, 0.0, 32.0, 16.0]])], [(2, 2)])
    assert mask.tolist() == [[[0, 1], [0, 0]]]


class Points(Anchors):
    """As FCOS's: points instead of anchors."""

    def grid_priors(self, sizes, device):
        return [level[:, :2] for level in super().grid_priors(sizes, device)]


@pytest.mark.parametrize(('head', 'message'), [
    (SimpleNamespace(prior_generator=Points()), r'`Points` makes points \(24, 2\)'),
    (SimpleNamespace(), 'without `prior_generator`')])
def test_says_that_a_head_has_no_anchors(head, message):
    side = noise(1, 2, 4, 6)
    with pytest.raises(ConfigError, match=message):
        FGFILoss()(side, side, data_samples=[QUARTER], head=head)


def test_says_that_the_head_is_of_other_levels():
    side = [noise(1, 2, 4, 6)] * 4
    with pytest.raises(
            ShapeError, match='anchors for 5 levels, but the features have 4'):
        FGFILoss()(side, side, data_samples=[QUARTER], head=head(8, 16, 32, 64, 128))


@pytest.mark.mmdet
def test_takes_the_anchors_of_mmdets_heads():
    from mmdet.models.dense_heads import FCOSHead, RetinaHead

    retina = RetinaHead(num_classes=2, in_channels=4, feat_channels=4, stacked_convs=1)
    sizes = [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]
    sides = [[noise(2, 4, *size, seed=k) for size in sizes] for k in (0, 1)]
    samples = [boxed((8.0, 8.0, 60.0, 50.0)), boxed()]
    found = FGFILoss(reduction='sum')(*sides, data_samples=samples, head=retina)
    assert found > 0
    fcos = FCOSHead(num_classes=2, in_channels=4, feat_channels=32, stacked_convs=1)
    with pytest.raises(ConfigError, match='`FCOSHead`, whose `MlvlPointGenerator`'):
        FGFILoss()(*sides, data_samples=samples, head=fcos)


@pytest.mark.parametrize('threshold', [-0.1, 1.0])
def test_refuses_a_threshold_that_means_nothing(threshold):
    with pytest.raises(ConfigError, match='`threshold` must be'):
        FGFILoss(threshold=threshold)


def slow_imitation_masks(anchors, boxes, map_sizes, threshold):
    """FGFI, for each level ``[n][h][w]``."""
    result = []
    for level, (height, width) in zip(anchors, map_sizes):
        each = len(level) // (height * width)
        masks = []
        for image in boxes:
            mask = zeros((height, width))
            for box in image:
                best = max(iou(a, box) for other in anchors for a in other)
                for index, anchor in enumerate(level):
                    if iou(anchor, box) > threshold * best:
                        cell = index // each
                        mask[cell // width][cell % width] = 1.0
            masks.append(mask)
        result.append(masks)
    return result


def slow_fgfi(levels, masks):
    """FGFI on all levels of a batch: one number."""
    places = sum(v for level in masks for mask in level for row in mask for v in row)
    total = 0.0
    for (student, teacher), level in zip(levels, masks):
        for n, mask in enumerate(level):
            for c in range(len(student[n])):
                for y, row in enumerate(mask):
                    for x, inside in enumerate(row):
                        total += (
                            inside * (student[n][c][y][x] - teacher[n][c][y][x]) ** 2)
    return total / (2 * max(1, places))


@pytest.mark.parametrize('pairs', [1, 2**22])
def test_equals_its_twins(pairs, monkeypatch):
    monkeypatch.setattr('mmkd_ext.methods.fgfi._PAIRS', pairs)
    strides, sizes = (16, 32), [(4, 6), (2, 3)]
    boxes = [[[32.0, 16.0, 60.0, 32.0], [-9.0, 3.0, 20.0, 60.0]], []]
    levels = [torch.randn(2, 2, 3, *size, dtype=torch.float64) for size in sizes]
    anchors = [a.tolist() for a in Anchors(strides).grid_priors(sizes, None)]
    masks = slow_imitation_masks(anchors, boxes, sizes, 0.5)
    samples = [boxed(*some) for some in boxes]
    found = mask_of(*samples, strides=strides, sizes=sizes)
    assert [x.tolist() for x in found] == masks
    slow = slow_fgfi([(s.tolist(), t.tolist()) for s, t in levels], masks)
    found = FGFILoss()(*zip(*levels), **extras(*samples, strides=strides))
    assert found.item() == pytest.approx(slow)
