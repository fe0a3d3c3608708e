"""What the regions promise: closed forms, properties, gradients, messages."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import (
    adaptive_thresholds,
    box_diou,
    box_iou,
    distribution_boxes,
    fine_grained_region,
    first_kept,
    general_instances,
    inside_region,
    valuable_region,
)

CALM = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SEEDS = st.integers(0, 2**31)


def boxes_of(seed, count, spread=64.0):
    generator = torch.Generator().manual_seed(seed)
    corner, size = spread * torch.rand(2, count, 2, generator=generator).double()
    return torch.cat([corner, corner + 2 + size], 1)


def anchors_of(seed, *counts):
    return [boxes_of(seed + i, count) for i, count in enumerate(counts)]


def square(x, y, size):
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2]


# ---- closed forms -------------------------------------------------------------------


@pytest.mark.parametrize(
    ('first', 'second', 'wanted'),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0 - 4 / 20),  # side by side
        ([0, 0, 4, 4], [1, 1, 3, 3], 4 / 16),  # the same centre
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3 - 1 / 13),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),  # points
        ([0, 0, 0, 0], [3, 4, 3, 4], -1.0),
    ],
)
def test_diou_by_hand(first, second, wanted):
    found = box_diou(torch.tensor([first]).double(), torch.tensor([second]).double())
    assert found.item() == pytest.approx(wanted)


def test_threshold_by_hand():
    # IoU 1 and 1/3: mean 2/3, unbiased deviation sqrt(2) / 3
    anchors = [torch.tensor([[0, 0, 2, 2], [1, 0, 3, 2], [50, 50, 52, 52]]).double()]
    box = torch.tensor([[0, 0, 2, 2]]).double()
    found = adaptive_thresholds(anchors, box, nearest=2)
    assert found.item() == pytest.approx(2 / 3 + 2**0.5 / 3)


def test_one_candidate_is_its_own_threshold():
    found = adaptive_thresholds(anchors_of(0, 1), boxes_of(3, 2))
    torch.testing.assert_close(found, box_iou(*anchors_of(0, 1), boxes_of(3, 2))[0])


def test_the_valuable_region_is_a_ring_around_the_positives():
    # by hand: the shifts 0, 4, 8, 12, 20 of a square of 32 have IoU 1, .78, .6, .45,
    # .23 and 0 beyond; mean + deviation is .84 and the region begins at DIoU .21
    shifts = [0, 4, 8, 12, 20, 40, 60]
    anchors = torch.tensor([square(x, 0, 32) for x in shifts]).double()
    region = valuable_region([anchors], torch.tensor([square(0, 0, 32)]).double())
    iou = [(32 - x) / (32 + x) for x in shifts]
    expected = [0.0, iou[1], iou[2], iou[3], 0.0, 0.0, 0.0]
    torch.testing.assert_close(region, torch.tensor(expected, dtype=torch.float64))


def test_what_the_authors_call_diou_takes_the_anchor_for_the_union():
    # by hand: the anchor in the middle has DIoU = IoU = 1/4, theirs is 1; the other
    # anchor is the box, 1 both ways. The threshold is 5/8 + 3/8 sqrt(2) = 1.155, and
    # the region begins at 0.289
    anchors = torch.tensor([[16, 16, 48, 48], [0, 0, 64, 64]]).double()
    box = anchors[1:]
    assert box_diou(anchors, box).tolist() == [[0.25], [1.0]]
    assert valuable_region([anchors], box).tolist() == [0.0, 1.0]
    published = valuable_region([anchors], box, published_diou=True)
    assert published.tolist() == [0.25, 1.0]


def test_the_published_region_loses_the_inside_of_a_box_and_gains_its_border():
    # by hand, anchors beside a box of 64: two of 32 in its middle, IoU 1/4, and one of
    # 16 of which a quarter lies in the box, IoU 64 / 4288 = .015. Mean plus deviation
    # is .307, so the region begins at .077. In the middle the distance is 0, so theirs
    # is 1; at the border it is 36^2 / (76^2 + 64^2) = .131, so the DIoU is below 0 and
    # theirs .25 - .131 = .119
    middle, border = [16, 16, 48, 48], [60, 24, 76, 40]
    anchors = [torch.tensor([middle, border, middle]).double()]
    box = torch.tensor([[0, 0, 64, 64]]).double()
    (threshold,) = adaptive_thresholds(anchors, box).tolist()
    assert threshold == pytest.approx(0.307, abs=1e-3)
    region = valuable_region(anchors, box).tolist()
    assert region == pytest.approx([1 / 4, 0, 1 / 4])
    published = valuable_region(anchors, box, published_diou=True).tolist()
    assert published == pytest.approx([0, 64 / 4288, 0])


def test_a_threshold_of_its_own_for_each_level_of_candidates():
    far = boxes_of(5, 3) + 1000
    box, near = boxes_of(0, 1), boxes_of(1, 4)
    one, two = (
        adaptive_thresholds(levels, box, nearest=2)
        for levels in ([torch.cat([near, far])], [near, far])
    )
    assert not torch.allclose(one, two)  # the far one brings two of its own


def test_equal_logits_mean_half_of_the_greatest_distance():
    boxes = distribution_boxes(torch.zeros(1, 68, 1, 1), torch.zeros(1, 2), 8)
    assert boxes.tolist() == [[[-64, -64, 64, 64]]]


def test_sides_are_left_top_right_bottom():
    logits = torch.full((1, 4, 5), -1e4)
    for side, value in enumerate([1, 2, 3, 4]):
        logits[0, side, value] = 0
    center = torch.tensor([[50.0, 50.0]])
    boxes = distribution_boxes(logits.reshape(1, 20, 1, 1), center, 10)
    assert boxes.tolist() == [[[40, 30, 80, 90]]]


def test_suppression_by_hand():
    boxes = torch.tensor([[[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9], [0, 0, 4, 1]]])
    scores = torch.tensor([[0.8, 0.9, 0.1, 0.5]])
    # 0 overlaps 1 by 3/4, 3 overlaps it by 1/3
    assert first_kept(boxes.float(), scores).tolist() == [[False, True, True, False]]
    assert first_kept(boxes.float(), scores, overlap=0.5).tolist() == [
        [False, True, True, True]
    ]
    assert first_kept(boxes.float(), scores, count=1).tolist() == [
        [False, True, False, False]
    ]


def test_an_image_that_runs_out_of_boxes_keeps_what_it_has():
    boxes = torch.stack(
        [
            boxes_of(0, 1).repeat(5, 1),
            100 * torch.arange(5).reshape(5, 1) + boxes_of(0, 1),
        ]
    )
    kept = first_kept(boxes, torch.rand(2, 5).double(), count=5)
    assert kept.sum(1).tolist() == [1, 5]


def test_boxes_without_area_do_not_suppress_each_other():
    assert first_kept(torch.ones(1, 3, 4), torch.rand(1, 3)).all()


def test_scores_that_are_no_numbers_are_never_kept():
    boxes = boxes_of(0, 3).unsqueeze(0)
    for bad in (float('-inf'), float('nan')):
        scores = torch.full((1, 3), bad, dtype=torch.float64)
        assert not first_kept(boxes, scores).any()


def test_the_surer_model_lends_its_box():
    # the student is surer at the first anchor; only its boxes are apart there
    apart = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [9.0, 9.0, 12.0, 12.0]]])
    same = torch.tensor([[[9.0, 9.0, 12.0, 12.0], [9.0, 9.0, 12.0, 12.0]]])
    low, high = torch.tensor([[[-2.0, 3.0]]]), torch.tensor([[[3.0, 3.5]]])
    assert general_instances((high, apart), (low, same)).tolist() == [[True, True]]
    assert general_instances((low, apart), (high, same)).tolist() == [[True, False]]


# ---- properties ---------------------------------------------------------------------


@CALM
@given(SEEDS, st.integers(0, 6), st.floats(0.1, 20), st.floats(-50, 50))
def test_diou_is_symmetric_and_knows_no_scale_and_place(seed, count, scale, offset):
    first, second = boxes_of(seed, 4), boxes_of(seed + 1, count)
    found = box_diou(first, second)
    torch.testing.assert_close(found, box_diou(second, first).T)
    moved = box_diou(scale * first + offset, scale * second + offset)
    torch.testing.assert_close(found, moved)
    assert (found <= box_iou(first, second)).all()
    assert (found > -1).all()


@CALM
@given(SEEDS, st.integers(0, 6))
def test_the_valuable_region_has_the_best_iou_or_nothing(seed, count):
    anchors, boxes = anchors_of(seed, 12, 5), boxes_of(seed + 7, count)
    region = valuable_region(anchors, boxes)
    iou = box_iou(torch.cat(anchors), boxes)
    assert ((region == 0) | (region.unsqueeze(1) == iou).any(1)).all()
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(region, valuable_region(anchors, boxes[order]))


@CALM
@given(SEEDS)
def test_a_lower_bound_that_is_higher_never_adds_to_the_valuable_region(seed):
    anchors, boxes = anchors_of(seed, 12, 5), boxes_of(seed + 7, 3)
    regions = [
        valuable_region(anchors, boxes, low=low) for low in (0.0, 0.25, 0.6, 1.0)
    ]
    assert all((a >= b).all() for a, b in zip(regions, regions[1:]))
    assert not regions[-1].any()


@CALM
@given(SEEDS, st.integers(1, 6))
def test_every_box_has_its_best_anchor_in_the_fine_grained_region(seed, count):
    anchors, boxes = boxes_of(seed, 12), boxes_of(seed + 7, count)
    best = box_iou(anchors, boxes).max(0)
    region = fine_grained_region(anchors, boxes)
    assert region[best.indices[best.values > 0]].all()


@CALM
@given(SEEDS, st.integers(1, 12), st.floats(0, 1))
def test_kept_boxes_are_apart_and_the_best_is_one_of_them(seed, count, overlap):
    boxes = boxes_of(seed, 20)
    scores = torch.rand(20, generator=torch.Generator().manual_seed(seed)).double()
    (kept,) = first_kept(boxes[None], scores[None], overlap=overlap, count=count)
    assert kept[scores.argmax()]
    assert kept.sum() <= count
    between = box_iou(boxes[kept], boxes[kept]).fill_diagonal_(0)
    assert (between <= overlap + 1e-9).all()


@CALM
@given(SEEDS)
def test_regions_do_not_depend_on_other_anchors_order(seed):
    anchors, boxes = boxes_of(seed, 12), boxes_of(seed + 7, 3)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
    for region in (
        inside_region,
        fine_grained_region,
        lambda a, b: valuable_region([a], b),
    ):
        assert torch.equal(region(anchors, boxes)[order], region(anchors[order], boxes))


# ---- gradients ----------------------------------------------------------------------


def test_gradient_of_diou_is_right():
    first, second = boxes_of(0, 3), boxes_of(1, 2)
    assert torch.autograd.gradcheck(
        box_diou, (first.requires_grad_(), second.requires_grad_())
    )


def test_gradient_of_distribution_boxes_is_right():
    logits = torch.randn(2, 12, 2, 1, dtype=torch.float64, requires_grad=True)
    centers = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, c: distribution_boxes(x, c, 8.0), (logits, centers)
    )


def test_regions_have_no_gradient():
    boxes = boxes_of(0, 3).requires_grad_()
    assert not adaptive_thresholds([boxes], boxes).requires_grad
    assert not valuable_region([boxes], boxes).requires_grad


# ---- nothing, and bad input ---------------------------------------------------------

NONE = torch.zeros(0, 4).double()


@pytest.mark.parametrize('anchors', [boxes_of(0, 5), NONE])
def test_no_boxes_have_empty_regions_and_no_thresholds(anchors):
    assert box_diou(anchors, NONE).shape == (len(anchors), 0)
    assert adaptive_thresholds([anchors], NONE).shape == (0,)
    for region in (
        inside_region,
        fine_grained_region,
        lambda a, b: valuable_region([a], b),
    ):
        found = region(anchors, NONE)
        assert found.shape == (len(anchors),)
        assert not found.any()


def test_no_anchors_have_no_region():
    boxes = boxes_of(0, 3)
    assert adaptive_thresholds([NONE, NONE], boxes).tolist() == [0, 0, 0]
    assert valuable_region([NONE], boxes).shape == (0,)
    assert fine_grained_region(NONE, boxes).shape == (0,)
    assert first_kept(NONE[None], torch.zeros(1, 0)).shape == (1, 0)


@pytest.mark.parametrize(
    'box',
    [
        [20.0, 20.0, 20.0, 20.0],
        [20.0, 12.0, 20.0, 40.0],
        [900.0, 0.0, 960.0, 40.0],
        [50.0, 50.0, 10.0, 10.0],
    ],
)
def test_boxes_without_area_or_far_away_change_nothing(box):
    anchors, boxes = anchors_of(0, 12, 5), boxes_of(7, 2)
    more = torch.cat([boxes, torch.tensor([box]).double()])
    assert torch.equal(valuable_region(anchors, more), valuable_region(anchors, boxes))
    for region in (inside_region, fine_grained_region):
        assert torch.equal(region(anchors[0], more), region(anchors[0], boxes))


def test_a_level_with_fewer_anchors_than_candidates_gives_all():
    anchors, boxes = anchors_of(0, 12, 2), boxes_of(7, 2)
    assert torch.equal(
        adaptive_thresholds(anchors, boxes, nearest=12),
        adaptive_thresholds(anchors, boxes, nearest=10**6),
    )


def test_refuses_what_are_no_boxes():
    wrong = torch.zeros(3, 5)
    for call in (
        lambda: box_diou(wrong, wrong),
        lambda: inside_region(NONE, wrong),
        lambda: valuable_region([wrong], NONE),
        lambda: fine_grained_region(wrong, NONE),
        lambda: adaptive_thresholds([NONE], wrong),
    ):
        with pytest.raises(ShapeError, match='Axis `4` differs'):
            call()
    with pytest.raises(ShapeError, match='at least one level'):
        valuable_region([], NONE)


@pytest.mark.parametrize(('channels', 'positions'), [(10, 6), (8, 5)])
def test_refuses_channels_and_centers_that_do_not_fit(channels, positions):
    with pytest.raises(ShapeError, match='four times as many channels'):
        distribution_boxes(torch.zeros(1, channels, 2, 3), torch.zeros(positions, 2), 8)


def test_refuses_scores_of_other_boxes():
    with pytest.raises(ShapeError, match='Axis `a` differs: `scores`'):
        first_kept(torch.zeros(1, 3, 4), torch.zeros(1, 2))
    side = torch.zeros(1, 2, 3), torch.zeros(1, 3, 4)
    other = torch.zeros(1, 5, 3), torch.zeros(1, 3, 4)
    with pytest.raises(ShapeError, match='Axis `k` differs: `teacher_logits`'):
        general_instances(side, other)


@pytest.mark.parametrize(
    ('call', 'name'),
    [
        (lambda: adaptive_thresholds([boxes_of(0, 2)], NONE, nearest=0), 'nearest'),
        (lambda: valuable_region([boxes_of(0, 2)], NONE, low=-0.1), 'low'),
        (lambda: fine_grained_region(NONE, NONE, share=1.1), 'share'),
        (lambda: first_kept(NONE[None], torch.zeros(1, 0), overlap=2), 'overlap'),
        (lambda: first_kept(NONE[None], torch.zeros(1, 0), count=0), 'count'),
    ],
)
def test_refuses_settings_out_of_range(call, name):
    with pytest.raises(ConfigError, match=rf'`{name}` must be an? (number|integer)'):
        call()
