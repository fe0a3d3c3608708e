"""Boxes on maps: values by hand, odd boxes, properties, the slow twins."""

from __future__ import annotations

from math import floor, log2, sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import CALM, counts, iou, zeros

from mmkd_ext.errors import ShapeError
from mmkd_ext.functional import box_iou, box_levels, box_mask
from mmkd_ext.methods.fgd import scale_mask
from mmkd_ext.methods.ld import box_iof

MASKS = pytest.mark.parametrize('mask', [scale_mask, box_mask])
SIZE, MAP = (64, 96), (8, 12)  # a stride of 8


def on(boxes, mask=scale_mask, size=SIZE, map_size=MAP):
    """The mask of one image ``(h w)``."""
    return mask([torch.tensor(boxes).reshape(-1, 4)], [size], map_size)[0]


def test_a_binary_box_keeps_the_row_and_column_that_it_reaches_into():
    # the authors' floor would end at row 2 and column 3
    mask = on([[8.0, 16.0, 33.0, 25.0]], box_mask)
    assert mask.sum() == 2 * 4
    assert mask[3, 4] == 1


def test_a_box_that_rounding_makes_empty_has_a_cell():
    # in float32 both ends are exactly at the start of column 11
    box = [25.14285659790039, 8.0, 25.142858505249023, 16.0]
    mask = on([box], box_mask, map_size=(8, 42))
    assert mask.nonzero().tolist() == [[1, 11]]


def test_a_coordinate_on_a_cell_border_is_not_rounded_over_it():
    # dividing first, 8 / 1344 * 168 could come out above 1
    for x in range(8, 1344, 8):
        mask = on([[float(x - 8), 0.0, float(x), 8.0]], box_mask, (8, 1344), (1, 168))
        assert mask.sum() == 1


@MASKS
@pytest.mark.parametrize('box', [
    [20.0, 20.0, 20.0, 40.0], [40.0, 40.0, 20.0, 20.0], [-30.0, 10.0, 0.0, 20.0],
    [10.0, 64.0, 20.0, 90.0], [float('nan'), 1.0, 20.0, 20.0],
    [0.0, 0.0, float('inf'), 20.0]],
    ids=['no area', 'upside down', 'before', 'behind', 'no number', 'infinite'])
def test_a_box_without_a_place_in_the_image_has_no_part(mask, box):
    assert not on([box], mask).any()
    good = [8.0, 8.0, 30.0, 30.0]
    torch.testing.assert_close(on([box, good], mask), on([good], mask))


@MASKS
@pytest.mark.parametrize('dtype', [torch.float16, torch.int64])
def test_boxes_of_other_types_are_read_in_float32(mask, dtype):
    boxes = torch.tensor([[8, 8, 30, 30], [1024, 4, 1030, 60]], dtype=dtype)
    found = mask([boxes], [(64, 1344)], (8, 168))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, mask([boxes.float()], [(64, 1344)], (8, 168)))


@st.composite
def crowds(draw):
    number = draw(st.integers(0, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    corner = torch.rand(number, 2, generator=generator) * 120 - 20
    extent = torch.rand(number, 2, generator=generator) * 60
    return torch.cat([corner, corner + extent], 1)


@MASKS
@CALM
@given(crowds())
def test_the_mask_of_many_is_the_maximum_of_their_masks(mask, boxes):
    single = [mask([box[None]], [SIZE], MAP) for box in boxes]
    wanted = torch.stack(single).amax(0) if single else torch.zeros(1, *MAP)
    assert torch.equal(mask([boxes], [SIZE], MAP), wanted)


def test_a_box_belongs_to_the_level_of_its_size():
    sides = torch.tensor([1.0, 111.0, 112.0, 223.0, 224.0, 448.0, 5000.0])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], 1)
    assert box_levels(boxes, 4).tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert box_levels(boxes, 4, finest_scale=112.0).tolist() == [0, 0, 0, 0, 1, 2, 3]


@pytest.mark.mmdet
def test_levels_are_those_of_mmdet():
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    extractor = SingleRoIExtractor(
        dict(type='RoIAlign', output_size=7, sampling_ratio=0), 256, [4, 8, 16, 32, 64])
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
        ([0.0, 0.0, 4.0, 4.0], 1.0), ([2.0, 0.0, 6.0, 4.0], 8 / 24),
        ([4.0, 0.0, 8.0, 4.0], 0.0), ([1.0, 1.0, 3.0, 3.0], 4 / 16),
        ([1.0, 1.0, 1.0, 3.0], 0.0), ([3.0, 3.0, 1.0, 1.0], 0.0)])
def test_overlap_by_hand(other, overlap):
    found = box_iou(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([other]))
    assert found.item() == pytest.approx(overlap)


def test_the_gradient_of_an_overlap_is_right():
    a = torch.tensor([[0.0, 0.0, 4.0, 4.0], [9.0, 9.0, 12.0, 10.0]]).double()
    b = torch.tensor([[2.0, 1.0, 6.0, 5.0], [8.0, 8.0, 11.0, 20.0]]).double()
    assert torch.autograd.gradcheck(box_iou, (a.requires_grad_(), b.requires_grad_()))


@MASKS
def test_refuses_boxes_of_another_form(mask):
    with pytest.raises(ShapeError, match=r'`boxes\[1\]` \(2, 5\) has 5'):
        mask([torch.zeros(0, 4), torch.zeros(2, 5)], [SIZE] * 2, MAP)


def test_refuses_counts_of_other_boxes():
    with pytest.raises(ShapeError, match=r'`counts` has \[2\] .*`boxes` has \[1\]'):
        box_mask([torch.zeros(1, 4)], [SIZE], MAP, counts=[torch.ones(2).bool()])


def slow_box_mask(boxes, sizes, map_size):
    """DeFeat, cells that a box touches."""
    result = []
    for image, (image_h, image_w) in zip(boxes, sizes):
        mask = zeros(map_size)
        for box in image:
            if not counts(box, (image_h, image_w)):
                continue
            for y in range(map_size[0]):
                for x in range(map_size[1]):
                    # the open cell and the open box overlap
                    below = box[3] * map_size[0] / image_h > y
                    above = box[1] * map_size[0] / image_h < y + 1
                    right = box[2] * map_size[1] / image_w > x
                    left = box[0] * map_size[1] / image_w < x + 1
                    if below and above and right and left:
                        mask[y][x] = 1.0
        result.append(mask)
    return result


def slow_box_levels(boxes, levels, finest_scale):
    """FPN's rule of levels, with mmdet's 1e-6."""
    result = []
    for x0, y0, x1, y1 in boxes:
        scale = sqrt(max(0, x1 - x0) * max(0, y1 - y0))
        level = floor(log2(scale / finest_scale + 1e-6))
        result.append(min(max(level, 0), levels - 1))
    return result


def slow_box_iou(boxes_a, boxes_b):
    """Overlap of each pair ``[a][b]``."""
    return [[iou(a, b) for b in boxes_b] for a in boxes_a]


# none, one, over the border, overlapping, thin, without area, outside, upside down
BOXES = [
    [],
    [[3.0, 5.0, 40.0, 30.0]],
    [[-9.5, -3.0, 20.2, 12.0], [80.0, 50.0, 120.0, 70.0], [0.0, 0.0, 96.0, 64.0]],
    [[10.0, 10.0, 11.0, 60.0], [10.0, 20.0, 10.0, 30.0], [200.0, 3.0, 220.0, 9.0],
     [40.0, 30.0, 20.0, 10.0], [8.0, 16.0, 32.0, 48.0], [16.0, 16.0, 33.0, 49.0]]]


def tensors(boxes):
    return [torch.tensor(some, dtype=torch.float64).reshape(-1, 4) for some in boxes]


@pytest.mark.parametrize('map_size', [(8, 12), (1, 1), (5, 7)])
def test_the_mask_equals_its_twin(map_size):
    sizes = [SIZE, (64, 80), (50, 96), SIZE]
    found = box_mask(tensors(BOXES), sizes, map_size)
    assert found.tolist() == slow_box_mask(BOXES, sizes, map_size)


@pytest.mark.parametrize('levels', [1, 4])
def test_levels_equal_their_twin(levels):
    sides = [0.0, 1.0, 55.9, 56.0, 111.9, 112.0, 224.0, 448.0, 2000.0]
    boxes = [[1.0, 2.0, 1.0 + side, 2.0 + side] for side in sides]
    found = box_levels(torch.tensor(boxes).double(), levels)
    assert found.tolist() == slow_box_levels(boxes, levels, 56)


def test_overlaps_equal_their_twin():
    boxes = [box for image in BOXES for box in image]
    torch.testing.assert_close(
        box_iou(*tensors([boxes, boxes])),
        torch.tensor(slow_box_iou(boxes, boxes), dtype=torch.float64))
