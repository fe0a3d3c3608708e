"""The regions and LD's losses equal their slow twins over a small grid."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from mmkd_ext import functional
from mmkd_ext.methods import LDClassLoss, LDImitationLoss, LDLoss

spec = importlib.util.spec_from_file_location(
    'twins_regions', Path(__file__).with_name('twins_regions.py')
)
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

# none, one, overlapping ones, without area, outside, upside down
SEEDS = range(4)
COUNTS = [0, 1, 7]
ODD = torch.tensor(
    [
        [20.0, 20.0, 20.0, 44.0],
        [900.0, 900.0, 950.0, 930.0],
        [40.0, 30.0, 10.0, 5.0],
        [-30.0, -20.0, 25.0, 31.0],
    ]
).double()
LEVELS = [(8, (4, 6)), (16, (2, 3)), (32, (1, 2))]


def anchors():
    """Squares of 3 strides around slightly shaken positions, so no two are as near."""
    generator = torch.Generator().manual_seed(1)
    levels = []
    for stride, (h, w) in LEVELS:
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
        center = stride * torch.stack([x, y], -1).reshape(-1, 2).double()
        center += torch.rand(center.shape, generator=generator, dtype=torch.float64)
        levels.append(torch.cat([center - 1.5 * stride, center + 1.5 * stride], 1))
    return levels


def boxes_of(seed, count, *, odd=False):
    generator = torch.Generator().manual_seed(seed)
    corner, size = torch.rand(
        2, count, 2, generator=generator, dtype=torch.float64
    ) * torch.tensor([48.0, 32.0], dtype=torch.float64)
    boxes = torch.cat([corner, corner + 4 + size], 1)
    return torch.cat([boxes, ODD]) if odd else boxes


def noise(*shape, seed=0, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(shape, generator=generator, dtype=torch.float64)


def assert_equals_twin(fast, slow):
    slow = torch.tensor(slow, dtype=torch.float64).reshape(fast.shape)
    torch.testing.assert_close(fast.double(), slow, rtol=1e-12, atol=1e-12)


GRID = [(seed, count, odd) for seed in SEEDS for count in COUNTS for odd in (0, 1)]
BOXES = pytest.mark.parametrize(('seed', 'count', 'odd'), GRID)


@BOXES
def test_diou_equals_its_twin(seed, count, odd):
    first, second = boxes_of(seed, 5, odd=True), boxes_of(seed + 1, count, odd=odd)
    assert_equals_twin(
        functional.box_diou(first, second),
        twins.box_diou(first.tolist(), second.tolist()),
    )


@BOXES
@pytest.mark.parametrize('nearest', [1, 4, 9, 100])
def test_thresholds_and_valuable_region_equal_their_twins(seed, count, odd, nearest):
    levels, boxes = anchors(), boxes_of(seed, count, odd=odd)
    lists = [level.tolist() for level in levels], boxes.tolist()
    assert_equals_twin(
        functional.adaptive_thresholds(levels, boxes, nearest=nearest),
        twins.adaptive_thresholds(*lists, nearest),
    )
    for low in (0.0, 0.25, 0.8):
        assert_equals_twin(
            functional.valuable_region(levels, boxes, nearest=nearest, low=low),
            twins.valuable_region(*lists, nearest, low),
        )
        published = functional.valuable_region(
            levels, boxes, nearest=nearest, low=low, published_diou=True
        )
        assert_equals_twin(
            published,
            twins.valuable_region(*lists, nearest, low, twins.published_diou),
        )


def test_the_grid_has_anchors_in_and_out_of_the_valuable_region():
    regions = torch.cat(
        [functional.valuable_region(anchors(), boxes_of(seed, 7)) for seed in SEEDS]
    )
    assert 0.1 < (regions > 0).double().mean() < 0.9


@BOXES
def test_other_regions_equal_their_twins(seed, count, odd):
    together, boxes = torch.cat(anchors()), boxes_of(seed, count, odd=odd)
    lists = together.tolist(), boxes.tolist()
    assert_equals_twin(
        functional.inside_region(together, boxes), twins.inside_region(*lists)
    )
    for share in (0.0, 0.5, 0.9):
        assert_equals_twin(
            functional.fine_grained_region(together, boxes, share=share),
            twins.fine_grained_region(*lists, share),
        )


@pytest.mark.parametrize(('n', 'bins', 'h', 'w'), [(1, 2, 1, 1), (2, 17, 2, 3)])
def test_distribution_boxes_equal_their_twin(n, bins, h, w):
    logits, centers = noise(n, 4 * bins, h, w), noise(h * w, 2, spread=30.0)
    assert_equals_twin(
        functional.distribution_boxes(logits, centers, 8),
        twins.distribution_boxes(logits.tolist(), centers.tolist(), 8),
    )


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('count', [1, 3, 10, 100])
@pytest.mark.parametrize('overlap', [0.0, 0.3, 1.0])
def test_suppression_equals_its_twin(seed, count, overlap):
    boxes = torch.stack([boxes_of(seed + i, 20, odd=True) for i in range(3)])
    scores = noise(*boxes.shape[:2], seed=seed)
    assert_equals_twin(
        functional.first_kept(boxes, scores, overlap=overlap, count=count),
        twins.first_kept(boxes.tolist(), scores.tolist(), overlap, count),
    )


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('count', [1, 10])
def test_general_instances_equal_their_twin(seed, count):
    sides = [
        (
            noise(2, 3, 24, seed=seed + side),
            torch.stack([boxes_of(seed + side + i, 20, odd=True) for i in range(2)]),
        )
        for side in (10, 20)
    ]
    assert_equals_twin(
        functional.general_instances(*sides, overlap=0.3, count=count),
        twins.general_instances(
            *[tuple(x.tolist() for x in side) for side in sides], 0.3, count
        ),
    )


@pytest.mark.parametrize('share', [0.0, 0.4, 1.0])
@pytest.mark.parametrize('shape', [(1, 8, 1, 1), (2, 12, 2, 3), (3, 68, 1, 2)])
def test_losses_equal_their_twins(shape, share):
    student, teacher = noise(*shape, seed=1), noise(*shape, seed=2, spread=4.0)
    n, _, h, w = shape
    generator = torch.Generator().manual_seed(3)
    weights = torch.rand(n, h, w, generator=generator, dtype=torch.float64)
    region = weights * (torch.rand(n, h, w, generator=generator) < share)
    lists = [x.tolist() for x in (student, teacher, region)]
    for tau in (1.0, 2.0, 10.0):
        assert_equals_twin(
            LDLoss(tau=tau, avg_factor=16.0)(student, teacher, region=region),
            twins.localization_loss(*lists, tau, 16.0),
        )
        assert_equals_twin(
            LDClassLoss(tau=tau)(student, teacher, region=region),
            twins.class_loss(*lists, tau),
        )
    assert_equals_twin(
        LDImitationLoss()(student, teacher, region=region), twins.imitation_loss(*lists)
    )
