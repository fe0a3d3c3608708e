"""What maps of boxes promise: values by hand, odd boxes, properties, messages."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import (
    background_mask,
    box_iof,
    box_iou,
    box_levels,
    box_mask,
    scale_mask,
)

MASKS = pytest.mark.parametrize('mask', [scale_mask, box_mask])
CALM = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SIZE, MAP = (64, 96), (8, 12)  # a stride of 8


def on(boxes, mask=scale_mask, size=SIZE, map_size=MAP):
    """The mask of one image ``(h w)``."""
    return mask([torch.tensor(boxes).reshape(-1, 4)], [size], map_size)[0]


# ---- by hand ------------------------------------------------------------------------


def test_a_box_includes_the_cell_after_its_end():
    # columns 8/8=1 to 32/8=4, rows 16/8=2 to 24/8=3, both ends inclusive: 4 x 2
    mask = on([[8.0, 16.0, 32.0, 24.0]])
    wanted = torch.zeros(MAP)
    wanted[2:4, 1:5] = 1 / 8
    torch.testing.assert_close(mask, wanted)


def test_divided_first_a_whole_cell_may_reach_into_the_next():
    # 24 * 168 / 1344 is 3, but 24 / 1344 in float32 is above 1/56 and gives 3.0000002,
    # whose ceiling is 4
    box, size = [torch.tensor([[8.0, 8.0, 24.0, 24.0]])], [(800, 1344)]
    cells = (100, 168)
    exact = scale_mask(box, size, cells)[0] > 0
    published = scale_mask(box, size, cells, divide_first=True)[0] > 0
    assert exact.nonzero().amax(0).tolist() == [3, 3]
    assert published.nonzero().amax(0).tolist() == [3, 4]


@pytest.mark.parametrize('cells', [(100, 168), (50, 84), (25, 42), (13, 21), (7, 11)])
def test_divided_first_the_mask_is_that_of_float32_arithmetic(cells):
    # with numpy, whole-pixel boxes of an image of 800 x 1344, one after another
    generator = numpy.random.default_rng(0)
    corner = generator.integers(0, [1300, 760], size=(300, 2))
    boxes = numpy.concatenate(
        [corner, corner + generator.integers(1, 400, size=(300, 2))], 1
    ).astype(numpy.float32)
    sides = numpy.float32([1344, 800, 1344, 800])
    scaled = boxes / sides * numpy.float32([cells[1], cells[0]] * 2)
    wanted = numpy.zeros((300, *cells), dtype=bool)
    for mask, (x0, y0, x1, y1) in zip(wanted, scaled):
        rows = slice(int(numpy.floor(y0)), int(numpy.ceil(y1)) + 1)
        mask[rows, int(numpy.floor(x0)) : int(numpy.ceil(x1)) + 1] = True
    images, sizes = list(torch.tensor(boxes).unsqueeze(1)), [(800, 1344)] * 300
    found = scale_mask(images, sizes, cells, divide_first=True)
    assert torch.equal(found > 0, torch.tensor(wanted))


def test_a_binary_box_ends_where_it_ends():
    mask = on([[8.0, 16.0, 32.0, 24.0]], box_mask)
    wanted = torch.zeros(MAP)
    wanted[2:3, 1:4] = 1
    torch.testing.assert_close(mask, wanted)


def test_a_binary_box_keeps_the_row_and_column_that_it_reaches_into():
    # the authors' floor would end at row 2 and column 3
    mask = on([[8.0, 16.0, 33.0, 25.0]], box_mask)
    assert mask.sum() == 2 * 4
    assert mask[3, 4] == 1


@pytest.mark.parametrize(
    'box',
    [
        [9.0, 9.0, 10.0, 60.0],  # thin: one column
        [95.9, 63.9, 96.0, 64.0],  # a tenth of a pixel in the last corner
    ],
)
def test_a_thin_binary_box_has_a_cell(box):
    assert on([box], box_mask).sum() >= 1


def test_a_box_that_rounding_makes_empty_has_a_cell():
    # in float32 both ends are exactly at the start of column 11
    box = [25.14285659790039, 8.0, 25.142858505249023, 16.0]
    mask = on([box], box_mask, map_size=(8, 42))
    assert mask.nonzero().tolist() == [[1, 11]]


def test_the_smallest_of_overlapping_boxes_wins():
    mask = on([[0.0, 0.0, 80.0, 56.0], [8.0, 8.0, 16.0, 16.0]])
    assert mask[1, 1] == 1 / 4
    assert mask[0, 0] == pytest.approx(1 / (11 * 8))


def test_a_box_that_ends_at_the_border_counts_with_its_full_size():
    # inclusive ends reach one row and column over the map, as in the authors' code
    mask = on([[48.0, 32.0, 96.0, 64.0]])
    torch.testing.assert_close(mask[4:, 6:], torch.full((4, 6), 1 / (5 * 7)))
    assert mask.sum() == pytest.approx(24 / 35)


def test_a_box_over_the_border_is_clipped_to_the_map():
    mask = on([[-16.0, -8.0, 8.0, 8.0]])
    wanted = torch.zeros(MAP)
    wanted[:2, :2] = 1 / (4 * 3)
    torch.testing.assert_close(mask, wanted)


def test_a_coordinate_on_a_cell_border_is_not_rounded_over_it():
    # dividing first, 8 / 1344 * 168 could come out above 1
    for x in range(8, 1344, 8):
        mask = on([[float(x - 8), 0.0, float(x), 8.0]], box_mask, (8, 1344), (1, 168))
        assert mask.sum() == 1


# ---- odd boxes ----------------------------------------------------------------------

NOTHING = {
    'no area': [20.0, 20.0, 20.0, 40.0],
    'upside down': [40.0, 40.0, 20.0, 20.0],
    'left of the image': [-30.0, 10.0, 0.0, 20.0],
    'right of the image': [96.0, 10.0, 120.0, 20.0],
    'above': [10.0, -20.0, 20.0, 0.0],
    'below': [10.0, 64.0, 20.0, 90.0],
    'not a number': [float('nan'), 1.0, 20.0, 20.0],
    'infinite': [0.0, 0.0, float('inf'), 20.0],
}


@MASKS
@pytest.mark.parametrize('box', NOTHING.values(), ids=NOTHING)
def test_a_box_without_a_place_in_the_image_has_no_part(mask, box):
    assert not on([box], mask).any()
    good = [8.0, 8.0, 30.0, 30.0]
    torch.testing.assert_close(on([box, good], mask), on([good], mask))


@MASKS
def test_images_without_boxes_are_empty(mask):
    box, none = torch.tensor([[8.0, 8.0, 30.0, 30.0]]), torch.zeros(0, 4)
    assert not mask([none, none], [SIZE, SIZE], MAP).any()
    mixed = mask([none, box], [SIZE, SIZE], MAP)
    assert not mixed[0].any()
    torch.testing.assert_close(mixed[1], mask([box], [SIZE], MAP)[0])


@MASKS
def test_each_image_is_scaled_by_its_own_size(mask):
    box = torch.tensor([[8.0, 8.0, 30.0, 30.0]])
    both = mask([box, box], [SIZE, (32, 48)], MAP)
    torch.testing.assert_close(both[0], mask([box], [SIZE], MAP)[0])
    torch.testing.assert_close(both[1], mask([box], [(32, 48)], MAP)[0])


@MASKS
@pytest.mark.parametrize('dtype', [torch.float16, torch.int64])
def test_boxes_of_other_types_are_read_in_float32(mask, dtype):
    boxes = torch.tensor([[8, 8, 30, 30], [1024, 4, 1030, 60]], dtype=dtype)
    found = mask([boxes], [(64, 1344)], (8, 168))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, mask([boxes.float()], [(64, 1344)], (8, 168)))


# ---- properties ---------------------------------------------------------------------


@st.composite
def crowds(draw):
    number = draw(st.integers(0, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    corner = torch.rand(number, 2, generator=generator) * 120 - 20
    extent = torch.rand(number, 2, generator=generator) * 60
    return torch.cat([corner, corner + extent], 1)


@MASKS
@CALM
@given(crowds(), st.integers(0, 2**31))
def test_boxes_have_no_order(mask, boxes, seed):
    order = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(mask([boxes], [SIZE], MAP), mask([boxes[order]], [SIZE], MAP))


@MASKS
@CALM
@given(crowds())
def test_the_mask_of_many_is_the_maximum_of_their_masks(mask, boxes):
    single = [mask([box[None]], [SIZE], MAP) for box in boxes]
    wanted = torch.stack(single).amax(0) if single else torch.zeros(1, *MAP)
    assert torch.equal(mask([boxes], [SIZE], MAP), wanted)


@CALM
@given(crowds())
def test_a_binary_mask_lies_inside_the_scale_mask(boxes):
    inside = box_mask([boxes], [SIZE], MAP) > 0
    assert (scale_mask([boxes], [SIZE], MAP)[inside] > 0).all()


@CALM
@given(crowds())
def test_the_background_is_what_the_foreground_is_not(boxes):
    foreground = scale_mask([boxes], [SIZE], MAP)
    background = background_mask(foreground)
    assert ((foreground > 0) ^ (background > 0)).all()
    assert background.sum().item() == pytest.approx(float((foreground == 0).any()))


def test_the_background_of_an_image_without_boxes_is_even():
    background = background_mask(torch.zeros(2, 4, 5))
    torch.testing.assert_close(background, torch.full((2, 4, 5), 1 / 20))


def test_the_background_of_a_covered_image_is_empty():
    assert not background_mask(torch.ones(1, 4, 5)).any()


@CALM
@given(crowds(), crowds())
def test_overlap_is_symmetric_and_between_0_and_1(first, second):
    overlap = box_iou(first, second)
    assert torch.equal(overlap, box_iou(second, first).T)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-6)).all()


# ---- levels and overlaps ------------------------------------------------------------


def test_some_boxes_may_be_left_out():
    boxes = [
        torch.tensor([[8.0, 8.0, 30.0, 30.0], [50.0, 8.0, 70.0, 30.0]]),
        torch.tensor([[0.0, 0.0, 9.0, 9.0]]),
    ]
    some = box_mask(
        boxes,
        [SIZE] * 2,
        MAP,
        counts=[torch.tensor([False, True]), torch.tensor([False])],
    )
    torch.testing.assert_close(
        some, box_mask([boxes[0][1:], boxes[1][:0]], [SIZE] * 2, MAP)
    )


def test_a_box_belongs_to_the_level_of_its_size():
    sides = torch.tensor([1.0, 111.0, 112.0, 223.0, 224.0, 448.0, 5000.0])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], 1)
    assert box_levels(boxes, 4).tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert box_levels(boxes, 4, finest_scale=112.0).tolist() == [0, 0, 0, 0, 1, 2, 3]


def test_the_level_of_a_long_box_is_that_of_the_square_of_its_area():
    assert box_levels(torch.tensor([[0.0, 0.0, 28.0, 448.0]]), 4).tolist() == [1]


def test_a_box_without_area_is_of_the_first_level():
    assert box_levels(torch.tensor([[5.0, 5.0, 5.0, 9.0]]), 4).tolist() == [0]


@pytest.mark.mmdet
def test_levels_are_those_of_mmdet():
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    extractor = SingleRoIExtractor(
        dict(type='RoIAlign', output_size=7, sampling_ratio=0), 256, [4, 8, 16, 32, 64]
    )
    generator = torch.Generator().manual_seed(0)
    corner, extent = torch.rand(2, 200, 2, generator=generator)
    boxes = torch.cat([300 * corner, 300 * corner + 1500 * extent**3], 1)
    rois = torch.cat([torch.zeros(200, 1), boxes], 1)
    assert torch.equal(box_levels(boxes, 5), extractor.map_roi_levels(rois, 5))


@pytest.mark.mmdet
def test_overlaps_are_those_of_mmdet():
    from mmdet.structures.bbox import bbox_overlaps

    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 30, 4, generator=generator) * 50
    a[:, 2:] += a[:, :2]
    b[:, 2:] += b[:, :2]
    torch.testing.assert_close(box_iou(a, b[:20]), bbox_overlaps(a, b[:20]))
    shares = bbox_overlaps(a, b[:20], mode='iof')
    torch.testing.assert_close(box_iof(a, b[:20]), shares)


@pytest.mark.parametrize(
    ('other', 'overlap'),
    [
        ([0.0, 0.0, 4.0, 4.0], 1.0),
        ([2.0, 0.0, 6.0, 4.0], 8 / 24),
        ([4.0, 0.0, 8.0, 4.0], 0.0),
        ([1.0, 1.0, 3.0, 3.0], 4 / 16),
        ([1.0, 1.0, 1.0, 3.0], 0.0),
        ([3.0, 3.0, 1.0, 1.0], 0.0),
    ],
)
def test_overlap_by_hand(other, overlap):
    found = box_iou(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([other]))
    assert found.item() == pytest.approx(overlap)


def test_boxes_without_area_overlap_nothing_not_even_themselves():
    assert box_iou(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0


def test_the_gradient_of_an_overlap_is_right():
    a = torch.tensor([[0.0, 0.0, 4.0, 4.0], [9.0, 9.0, 12.0, 10.0]]).double()
    b = torch.tensor([[2.0, 1.0, 6.0, 5.0], [8.0, 8.0, 11.0, 20.0]]).double()
    assert torch.autograd.gradcheck(box_iou, (a.requires_grad_(), b.requires_grad_()))


# ---- messages -----------------------------------------------------------------------


@MASKS
def test_refuses_boxes_of_another_form(mask):
    with pytest.raises(ShapeError, match=r'`boxes\[1\]` \(2, 5\) has 5'):
        mask([torch.zeros(0, 4), torch.zeros(2, 5)], [SIZE] * 2, MAP)


@MASKS
def test_refuses_another_number_of_sizes(mask):
    with pytest.raises(ShapeError, match='boxes of 1 images, but sizes of 2'):
        mask([torch.zeros(0, 4)], [SIZE] * 2, MAP)
    with pytest.raises(ShapeError, match='at least one image'):
        mask([], [], MAP)


def test_refuses_counts_of_other_boxes():
    with pytest.raises(ShapeError, match=r'`counts` has \[2\] .*`boxes` has \[1\]'):
        box_mask([torch.zeros(1, 4)], [SIZE], MAP, counts=[torch.ones(2).bool()])


def test_refuses_a_background_of_something_else():
    with pytest.raises(ShapeError, match='`foreground` has shape'):
        background_mask(torch.zeros(4, 5))


def test_refuses_levels_and_scales_that_do_not_exist():
    with pytest.raises(ConfigError, match='`levels` must be an integer >= 1'):
        box_levels(torch.zeros(1, 4), 0)
    with pytest.raises(ConfigError, match='`finest_scale` must be a number > 0'):
        box_levels(torch.zeros(1, 4), 1, finest_scale=0)
