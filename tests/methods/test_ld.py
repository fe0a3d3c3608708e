"""LD: cases for the laws, its regions on a small head, the slow twins."""

from __future__ import annotations

from math import exp, log
from types import SimpleNamespace

import pytest
import torch
from slow_parts import (
    area,
    assert_equals_twin,
    boxed,
    doubles,
    iou,
    kl,
    softened,
)

from mmkd_ext.errors import ConfigError, DataError, ShapeError
from mmkd_ext.methods import (
    LDClassLoss,
    LDFineGrainedRegion,
    LDGIRegion,
    LDImitationLoss,
    LDInsideRegion,
    LDLoss,
    LDMainRegion,
    LDValuableRegion,
)
from mmkd_ext.methods.ld import (
    adaptive_thresholds,
    box_diou,
    distribution_boxes,
    fine_grained_region,
    first_kept,
    general_instances,
    inside_region,
    valuable_region,
)
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

# By hand: of two outcomes the teacher gives 3/4 to the first, the student 1/2.
KL = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)


def maps(*positions):
    """Returns ``(1 c 1 w)`` from the channels of each position."""
    return [[[list(row)] for row in zip(*positions)]]


def region_of(*shape):
    """Draws a region that leaves out some positions and weighs the others."""

    def draw(generator):
        weights = torch.rand(shape, generator=generator)
        weights[:, 0, 0] = 0
        return {'region': weights}

    return draw


def a_constant_for_each_side(student):
    offset = torch.tensor([-3.0, 0.5, 2.0, 7.0]).repeat_interleave(2)
    return student + offset.to(student)[:, None, None]


FLAT = [0.0] * 8
ONE_SIDE = [log(3), 0.0, *[0.0] * 6]
ONE_SIDE_TEMPERED = [10 * log(3), 0.0, *[0.0] * 6]
CASES = [
    LossCase(
        LDLoss, inputs=pair(2, 8, 2, 3), extras=region_of(2, 2, 3), temperature='tau',
        invariances={'a constant added to each side': a_constant_for_each_side},
        values=[
            KnownValue(
                maps(FLAT, FLAT), maps(ONE_SIDE_TEMPERED, ONE_SIDE_TEMPERED),
                100 * KL / 2 * 0.5 / 4,
                'one row of two bins, weight 1/2, four sides; the second '
                'position is outside', {'region': torch.tensor([[[0.5, 0.0]]])}),
            KnownValue(
                maps(FLAT), maps([10 * x for x in [log(3), 0.0] * 4]), 100 * KL / 2,
                'all four sides, weight 1', {'region': torch.ones(1, 1, 1)})]),
    LossCase(
        LDLoss, {'tau': 1.0, 'avg_factor': 16.0}, inputs=pair(2, 12, 2, 3),
        extras=region_of(2, 2, 3),
        values=[
            KnownValue(
                maps(FLAT), maps(ONE_SIDE), KL / 2 / 16,
                'the oracle tau**2 / bins * KL / avg_factor',
                {'region': torch.ones(1, 1, 1)})]),
    LossCase(
        LDClassLoss, inputs=pair(2, 3, 2, 3), extras=region_of(2, 2, 3),
        temperature='tau',
        values=[
            KnownValue(
                maps([0.0, 0.0], [0.0, 0.0]), maps([2 * log(3), 0.0], [9.0, -9.0]),
                4 * KL / 2, 'two classes, one position; the weight does not matter',
                {'region': torch.tensor([[[0.25, 0.0]]])}),
            KnownValue(
                maps([0.0, 0.0], [0.0, 0.0]), maps([2 * log(3), 0.0], [0.0, 0.0]),
                4 * KL / 2 / 2, 'a mean over two positions',
                {'region': torch.tensor([[[0.25, 0.75]]])})]),
    LossCase(
        LDImitationLoss, inputs=pair(2, 3, 2, 3), extras=region_of(2, 2, 3),
        values=[
            KnownValue(
                maps([1.0, 5.0], [9.0, 9.0], [0.0, 0.0]),
                maps([0.0, 2.0], [0.0, 0.0], [0.0, 0.0]), (1 + 9) / 4,
                'squares 1 and 9, two channels, two of three positions',
                {'region': torch.tensor([[[0.1, 0.0, 1.0]]])})])]
LOSSES = pytest.mark.parametrize('cls', [LDLoss, LDClassLoss, LDImitationLoss])


# ---- the losses ---------------------------------------------------------------------


@LOSSES
def test_an_empty_region_is_zero_with_a_gradient_of_zeros(cls):
    student = torch.randn(2, 8, 3, 4, requires_grad=True)
    loss = cls()(student, torch.randn(2, 8, 3, 4), region=torch.zeros(2, 3, 4))
    loss.backward()
    assert loss == 0
    assert not student.grad.any()


def test_imitation_may_be_told_the_positives_and_then_drops_levels_without_one():
    # the oracle: 1 at one position of weight 2; the authors' 0 where none is positive
    assert LDImitationLoss.arguments()['positives'] is False
    loss = LDImitationLoss(loss_weight=2.0)
    sides = torch.ones(1, 8, 2, 2), torch.zeros(1, 8, 2, 2)
    region, positives = torch.zeros(2, 1, 2, 2)
    region[0, 0, 0] = 1
    assert loss(*sides, region=region) == 2
    assert loss(*sides, region=region, positives=positives) == 0
    positives[0, 1, 1] = 0.1  # anywhere on the level, of any weight
    assert loss(*sides, region=region, positives=positives) == 2


def test_each_level_of_the_imitation_asks_for_its_own_positives():
    student = [torch.randn(2, 8, 4, 6), torch.randn(2, 8, 2, 3, requires_grad=True)]
    teacher = [torch.zeros(2, 8, 4, 6), torch.zeros(2, 8, 2, 3)]
    regions = [torch.ones(2, 4, 6), torch.ones(2, 2, 3)]
    positives = [torch.zeros(2, 4, 6), torch.zeros(2, 2, 3)]
    positives[0][1, 2, 3] = 1  # one of the second image is enough for the level
    loss = LDImitationLoss()
    found = loss(student, teacher, region=regions, positives=positives)
    alone = loss(student[0], teacher[0], region=regions[0])
    torch.testing.assert_close(found, alone)
    found.backward()
    assert not student[1].grad.any()


@pytest.mark.parametrize(('student', 'teacher', 'message'), [
    (4, 4, 'no box distributions'), (18, 18, 'no box distributions'),
    (68, 36, r'17 bins .* 9')])
def test_refuses_what_are_no_distributions_of_as_many_bins(student, teacher, message):
    with pytest.raises(ShapeError, match=message):
        LDLoss().check_pair(*(torch.zeros(1, n, 2, 2) for n in (student, teacher)))


SIZES = [(4, 8), (2, 4)]


class Anchors:
    """As mmdet's ``AnchorGenerator`` for GFL: a square of 8 strides a position."""

    num_levels = 2
    strides = [(8, 8), (16, 16)]
    per_position = 1

    def grid_priors(self, sizes, device):
        levels = []
        for (h, w), (stride, _) in zip(sizes, self.strides):
            y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
            center = stride * torch.stack([x, y], -1).reshape(-1, 2).float()
            level = torch.cat([center - 4 * stride, center + 4 * stride], 1)
            levels.append(level.repeat_interleave(self.per_position, 0).to(device))
        return levels

    def valid_flags(self, sizes, pad_shape, device):
        flags = []
        for (h, w), (stride, _) in zip(sizes, self.strides):
            valid = torch.zeros(h, w, dtype=torch.bool)
            valid[: -(-pad_shape[0] // stride), : -(-pad_shape[1] // stride)] = True
            flags.append(valid.flatten())
        return flags


def head_of(**changes):
    return SimpleNamespace(**{'reg_max': 16, 'prior_generator': Anchors(), **changes})


def samples_of(*boxes, **info):
    samples = [boxed(*torch.tensor(some).reshape(-1, 4).tolist()) for some in boxes]
    for sample in samples:
        sample.metainfo = info
    return samples


def logits_of(images, classes=3, spread=1.0):
    return tuple(spread * torch.randn(images, classes, *size) for size in SIZES)


BOX = [4.0, 4.0, 60.0, 30.0]
BY_BOXES = pytest.mark.parametrize(
    'region', [LDValuableRegion(), LDInsideRegion(), LDFineGrainedRegion()],
    ids=lambda region: type(region).__name__)


def test_main_region_is_the_best_score_at_positives():
    logits = logits_of(2)
    targets = []
    for level in logits:
        labels = torch.full((2, *level.shape[2:]), 3)
        labels[0, 1, 2], labels[1, 0, 0] = 0, 2
        labels[1, 1, 1] = -1  # ignored
        targets.append((labels.flatten(), torch.zeros(labels.numel())))
    region = LDMainRegion()(head_of(), logits=logits, targets=tuple(targets))
    for found, level in zip(region, logits):
        assert found.shape == (2, *level.shape[2:])
        assert found.count_nonzero() == 2
        # a sigmoid of three numbers and one of a map may differ in the last bit
        best = [level[0, :, 1, 2].sigmoid().max(), level[1, :, 0, 0].sigmoid().max()]
        torch.testing.assert_close(
            torch.stack([found[0, 1, 2], found[1, 0, 0]]), torch.stack(best))


@pytest.mark.parametrize(
    'targets', [[torch.zeros(32)], torch.zeros(40), [torch.zeros(32), torch.zeros(9)],
                [torch.zeros(32), None]])
def test_main_region_refuses_other_labels(targets):
    with pytest.raises(ShapeError, match='`targets`'):
        LDMainRegion()(head_of(), logits=logits_of(1), targets=targets)


def test_inside_region_is_where_anchor_centres_are():
    region = LDInsideRegion()(
        head_of(), logits=logits_of(1), data_samples=samples_of([7.0, 7.0, 17.0, 9.0]))
    assert region[0][0].nonzero().tolist() == [[1, 1], [1, 2]]  # (8, 8) and (16, 8)
    assert not region[1].any()  # (16, 16) is outside


@BY_BOXES
def test_anchors_in_the_padding_take_no_part(region):
    samples = samples_of([BOX], pad_shape=(32, 32))
    found = region(head_of(), logits=logits_of(1), data_samples=samples)
    assert found[0].any()
    assert not found[0][..., 4:].any()
    assert not found[1][..., 2:].any()
    free = region(head_of(), logits=logits_of(1), data_samples=samples_of([BOX]))
    assert free[0][..., 4:].any()


def test_anchors_in_the_padding_are_no_candidates_either():
    # so the threshold is another one; it is not only that a part is cut off
    box = [16.0, 14.0, 76.0, 62.0]
    found = LDValuableRegion()(
        head_of(), logits=logits_of(1), data_samples=samples_of(box, pad_shape=(32, 40))
    )
    levels = [
        level.reshape(*size, 4)[:, :width].reshape(-1, 4)
        for level, size, width in zip(
            Anchors().grid_priors(SIZES, 'cpu'), SIZES, (5, 3))]
    wanted = valuable_region(levels, torch.tensor([box]))
    cut = [x[0, :, :width].flatten() for x, width in zip(found, (5, 3))]
    assert torch.equal(torch.cat(cut), wanted)
    free = LDValuableRegion()(
        head_of(), logits=logits_of(1), data_samples=samples_of(box))
    assert not torch.equal(found[0][..., :5], free[0][..., :5])


@BY_BOXES
def test_refuses_samples_of_another_batch(region):
    with pytest.raises(ShapeError, match='1 samples, but `logits` are of 2 images'):
        region(head_of(), logits=logits_of(2), data_samples=samples_of(BOX))
    with pytest.raises(DataError, match='data_samples'):
        region(head_of(), logits=logits_of(2), data_samples=None)


def gi_inputs(images=2, bins=17):
    return {
        'logits_S': logits_of(images),
        'logits_T': logits_of(images, spread=3.0),
        'bins_S': tuple(torch.randn(images, 4 * bins, *size) for size in SIZES),
        'bins_T': tuple(torch.randn(images, 4 * bins, *size) for size in SIZES)}


def test_the_greatest_disagreement_is_a_general_instance():
    inputs = gi_inputs(images=1)
    inputs['logits_T'] = tuple(x.clone() for x in inputs['logits_S'])
    inputs['logits_T'][0][0, 1, 2, 5] += 4.0
    region = LDGIRegion(count=1)(head_of(), **inputs)
    assert region[0][0].nonzero().tolist() == [[2, 5]]


def test_general_instances_refuse_other_classes_and_bins():
    inputs = gi_inputs()
    fewer = {key: inputs[key][:1] for key in ('bins_S', 'bins_T')}
    for wrong, message in ((fewer, '`bins_S` has 1 levels, `logits_S` 2'),
                           ({'logits_T': logits_of(2, classes=4)}, 'Axis `k` differs')):
        with pytest.raises(ShapeError, match=message):
            LDGIRegion()(head_of(), **{**inputs, **wrong})


def all_regions(head, logits):
    classes = {'logits_S': logits, 'logits_T': logits}
    yield lambda: LDMainRegion()(head, logits=logits, targets=[torch.zeros(32)] * 2)
    for region in (LDValuableRegion(), LDInsideRegion(), LDFineGrainedRegion()):
        yield lambda region=region: region(
            head, logits=logits, data_samples=samples_of(BOX))
    yield lambda: LDGIRegion()(head, **{**gi_inputs(1), **classes})


NINE = Anchors()
NINE.per_position = 9


@pytest.mark.parametrize(('head', 'levels', 'error', 'message'), [
    (SimpleNamespace(prior_generator=Anchors()), 2, ConfigError, 'no `reg_max`'),
    (head_of(), 1, ShapeError, 'for 2 levels'),
    (head_of(prior_generator=NINE), 2, ShapeError, '9 anchors a position')])
def test_regions_refuse_heads_that_do_not_fit(head, levels, error, message):
    runs = list(all_regions(head, logits_of(1)[:levels]))
    # the main region does not look at anchors
    for run in runs if error is ConfigError else runs[1:]:
        with pytest.raises(error, match=message):
            run()


ODD = torch.tensor(
    [
        [20.0, 20.0, 20.0, 44.0], [900.0, 900.0, 950.0, 930.0], [40.0, 30.0, 10.0, 5.0],
        [-30.0, -20.0, 25.0, 31.0]]).double()


def drawn_boxes(seed, count, *, odd=False):
    generator = torch.Generator().manual_seed(seed)
    corner, size = torch.rand(
        2, count, 2, generator=generator, dtype=torch.float64
    ) * torch.tensor([48.0, 32.0], dtype=torch.float64)
    boxes = torch.cat([corner, corner + 4 + size], 1)
    return torch.cat([boxes, ODD]) if odd else boxes


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
        [False, True, True, True]]
    assert first_kept(boxes.float(), scores, count=1).tolist() == [
        [False, True, False, False]]


def test_the_surer_model_lends_its_box():
    # the student is surer at the first anchor; only its boxes are apart there
    apart = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [9.0, 9.0, 12.0, 12.0]]])
    same = torch.tensor([[[9.0, 9.0, 12.0, 12.0], [9.0, 9.0, 12.0, 12.0]]])
    low, high = torch.tensor([[[-2.0, 3.0]]]), torch.tensor([[[3.0, 3.5]]])
    assert general_instances((high, apart), (low, same)).tolist() == [[True, True]]
    assert general_instances((low, apart), (high, same)).tolist() == [[True, False]]


# ---- nothing, and bad input ---------------------------------------------------------


NONE = torch.zeros(0, 4).double()


@pytest.mark.parametrize('anchors', [drawn_boxes(0, 5), NONE])
def test_no_boxes_have_empty_regions_and_no_thresholds(anchors):
    assert box_diou(anchors, NONE).shape == (len(anchors), 0)
    assert adaptive_thresholds([anchors], NONE).shape == (0,)
    for region in (
            inside_region, fine_grained_region, lambda a, b: valuable_region([a], b)):
        found = region(anchors, NONE)
        assert found.shape == (len(anchors),)
        assert not found.any()


def test_no_anchors_have_no_region():
    boxes = drawn_boxes(0, 3)
    assert adaptive_thresholds([NONE, NONE], boxes).tolist() == [0, 0, 0]
    assert valuable_region([NONE], boxes).shape == (0,)
    assert fine_grained_region(NONE, boxes).shape == (0,)
    assert first_kept(NONE[None], torch.zeros(1, 0)).shape == (1, 0)


@pytest.mark.parametrize(
    ('call', 'name'),
    [
        (lambda: adaptive_thresholds([drawn_boxes(0, 2)], NONE, nearest=0), 'nearest'),
        (lambda: valuable_region([drawn_boxes(0, 2)], NONE, low=-0.1), 'low'),
        (lambda: fine_grained_region(NONE, NONE, share=1.1), 'share'),
        (lambda: first_kept(NONE[None], torch.zeros(1, 0), overlap=2), 'overlap'),
        (lambda: first_kept(NONE[None], torch.zeros(1, 0), count=0), 'count')])
def test_refuses_settings_out_of_range(call, name):
    with pytest.raises(ConfigError, match=f'`{name}`'):
        call()


# ---- the slow twin, in plain loops from the equation --------------------------------


def center(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def squared_distance(a, b):
    (ax, ay), (bx, by) = center(a), center(b)
    return (ax - bx) ** 2 + (ay - by) ** 2


def diou(a, b):
    """Overlap less the squared distance of the centres by the squared diagonal."""
    width = max(a[2], b[2]) - min(a[0], b[0])
    height = max(a[3], b[3]) - min(a[1], b[1])
    diagonal = width**2 + height**2
    return iou(a, b) - (squared_distance(a, b) / diagonal if diagonal > 0 else 0.0)


def slow_box_diou(boxes_a, boxes_b):
    return [[diou(a, b) for b in boxes_b] for a in boxes_a]


def threshold(anchors, box, nearest):
    """Mean plus unbiased deviation of the IoU of the nearest anchors of each level."""
    values = []
    for level in anchors:
        order = sorted(level, key=lambda anchor: squared_distance(anchor, box))
        values += [iou(anchor, box) for anchor in order[:nearest]]
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean
    return mean + (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5


def slow_adaptive_thresholds(anchors, boxes, nearest):
    return [threshold(anchors, box, nearest) for box in boxes]


def slow_valuable_region(anchors, boxes, nearest, low, measure=diou):
    """The highest IoU of the boxes for which an anchor is near, but not on it."""
    limits = slow_adaptive_thresholds(anchors, boxes, nearest)
    region = []
    for level in anchors:
        for anchor in level:
            value = 0.0
            for box, limit in zip(boxes, limits):
                if low * limit <= measure(anchor, box) < limit:
                    value = max(value, iou(anchor, box))
            region.append(value)
    return region


def slow_fine_grained_region(anchors, boxes, share):
    region = [False] * len(anchors)
    for box in boxes:
        best = max(iou(anchor, box) for anchor in anchors)
        for i, anchor in enumerate(anchors):
            if iou(anchor, box) > share * best:
                region[i] = True
    return region


def slow_inside_region(anchors, boxes):
    region = []
    for anchor in anchors:
        x, y = center(anchor)
        region.append(any(b[0] < x < b[2] and b[1] < y < b[3] for b in boxes))
    return region


def slow_distribution_boxes(logits, centers, stride):
    """Centre less and plus the mean of each side's distribution: ``[n][a][4]``."""
    images = []
    for image in logits:
        bins = len(image) // 4
        width = len(image[0][0])
        boxes = []
        for a, (x, y) in enumerate(centers):
            sides = []
            for side in range(4):
                values = [
                    image[side * bins + i][a // width][a % width] for i in range(bins)]
                mean = sum(i * p for i, p in enumerate(softened(values)))
                sides.append(stride * mean)
            boxes.append([x - sides[0], y - sides[1], x + sides[2], y + sides[3]])
        images.append(boxes)
    return images


def slow_first_kept(boxes, scores, overlap, count):
    """Suppression as it is usually written: sorted, each against all kept ones."""
    kept = []
    for some, values in zip(boxes, scores):
        order = sorted(range(len(some)), key=lambda a: -values[a])
        chosen = []
        for a in order:
            if all(iou(some[a], some[other]) <= overlap for other in chosen):
                chosen.append(a)
        kept.append([a in chosen[:count] for a in range(len(some))])
    return kept


def sigmoid(x):
    return 1 / (1 + exp(-x))


def slow_general_instances(student, teacher, overlap, count):
    """Logits are ``[n][k][a]``, boxes ``[n][a][4]``."""
    scores, boxes = [], []
    for logits_s, boxes_s, logits_t, boxes_t in zip(*student, *teacher):
        scores.append([])
        boxes.append([])
        for a in range(len(boxes_s)):
            leads = [sigmoid(t[a]) - sigmoid(s[a]) for s, t in zip(logits_s, logits_t)]
            lead = max(leads, key=abs)
            scores[-1].append(abs(lead))
            boxes[-1].append(boxes_t[a] if lead >= 0 else boxes_s[a])
    return slow_first_kept(boxes, scores, overlap, count)


def positions(region):
    """Yields image, row, column and weight inside a region."""
    for n, rows in enumerate(region):
        for y, row in enumerate(rows):
            for x, weight in enumerate(row):
                if weight > 0:
                    yield n, y, x, weight


def slow_localization_loss(student, teacher, region, tau, avg_factor):
    """Main and VLR term of LD: maps ``[n][4 b][h][w]``, region ``[n][h][w]``."""
    total = 0.0
    for n, y, x, weight in positions(region):
        bins = len(student[n]) // 4
        for side in range(4):
            s, t = (
                [maps[n][side * bins + i][y][x] for i in range(bins)]
                for maps in (student, teacher))
            divergence = kl(softened(t, tau), softened(s, tau))
            total += weight * tau**2 / bins * divergence
    return total / avg_factor


def slow_class_loss(student, teacher, region, tau):
    values = []
    for n, y, x, _ in positions(region):
        s, t = (
            [maps[n][k][y][x] for k in range(len(student[n]))]
            for maps in (student, teacher))
        values.append(tau**2 / len(s) * kl(softened(t, tau), softened(s, tau)))
    return sum(values) / len(values) if values else 0.0


def slow_imitation_loss(student, teacher, region):
    values = [
        (student[n][c][y][x] - teacher[n][c][y][x]) ** 2
        for n, y, x, _ in positions(region) for c in range(len(student[n]))]
    return sum(values) / len(values) if values else 0.0


def published_diou(a, b):
    """The same with the first box's area in place of the union."""
    shared = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    covered = shared / area(a) if area(a) > 0 else 0.0
    return covered + diou(a, b) - iou(a, b)


LEVELS = [(8, (4, 6)), (16, (2, 3)), (32, (1, 2))]


def shaken_anchors():
    """Squares of 3 strides around slightly shaken positions, so no two are as near."""
    generator = torch.Generator().manual_seed(1)
    levels = []
    for stride, (h, w) in LEVELS:
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
        center = stride * torch.stack([x, y], -1).reshape(-1, 2).double()
        center += torch.rand(center.shape, generator=generator, dtype=torch.float64)
        levels.append(torch.cat([center - 1.5 * stride, center + 1.5 * stride], 1))
    return levels


BOXES = pytest.mark.parametrize(
    ('seed', 'count', 'odd'), [(0, 0, 0), (1, 7, 0), (2, 7, 1), (3, 0, 1)])


@BOXES
def test_diou_equals_its_twin(seed, count, odd):
    first = drawn_boxes(seed, 5, odd=True)
    second = drawn_boxes(seed + 1, count, odd=odd)
    assert_equals_twin(
        box_diou(first, second), slow_box_diou(first.tolist(), second.tolist()))


@BOXES
def test_thresholds_and_valuable_region_equal_their_twins(seed, count, odd):
    nearest = (9, 9, 1, 9)[seed]
    levels, boxes = shaken_anchors(), drawn_boxes(seed, count, odd=odd)
    lists = [level.tolist() for level in levels], boxes.tolist()
    assert_equals_twin(
        adaptive_thresholds(levels, boxes, nearest=nearest),
        slow_adaptive_thresholds(*lists, nearest))
    for low in (0.0, 0.25, 0.8):
        assert_equals_twin(
            valuable_region(levels, boxes, nearest=nearest, low=low),
            slow_valuable_region(*lists, nearest, low))
        published = valuable_region(
            levels, boxes, nearest=nearest, low=low, published_diou=True)
        assert_equals_twin(
            published, slow_valuable_region(*lists, nearest, low, published_diou))


@BOXES
def test_other_regions_equal_their_twins(seed, count, odd):
    together, boxes = torch.cat(shaken_anchors()), drawn_boxes(seed, count, odd=odd)
    lists = together.tolist(), boxes.tolist()
    assert_equals_twin(inside_region(together, boxes), slow_inside_region(*lists))
    for share in (0.0, 0.5, 0.9):
        assert_equals_twin(
            fine_grained_region(together, boxes, share=share),
            slow_fine_grained_region(*lists, share))


@pytest.mark.parametrize(('n', 'bins', 'h', 'w'), [(1, 2, 1, 1), (2, 17, 2, 3)])
def test_distribution_boxes_equal_their_twin(n, bins, h, w):
    logits, centers = doubles(n, 4 * bins, h, w), doubles(h * w, 2, spread=30.0)
    assert_equals_twin(
        distribution_boxes(logits, centers, 8),
        slow_distribution_boxes(logits.tolist(), centers.tolist(), 8))


@pytest.mark.parametrize(
    ('seed', 'count', 'overlap'), [(0, 1, 0.3), (0, 10, 0.0), (1, 10, 0.3)])
def test_suppression_equals_its_twin(seed, count, overlap):
    boxes = torch.stack([drawn_boxes(seed + i, 20, odd=True) for i in range(3)])
    scores = doubles(*boxes.shape[:2], seed=seed)
    assert_equals_twin(
        first_kept(boxes, scores, overlap=overlap, count=count),
        slow_first_kept(boxes.tolist(), scores.tolist(), overlap, count))


@pytest.mark.parametrize(('seed', 'count'), [(0, 1), (1, 10)])
def test_general_instances_equal_their_twin(seed, count):
    sides = [
        (
            doubles(2, 3, 24, seed=seed + side),
            torch.stack([drawn_boxes(seed + side + i, 20, odd=True) for i in range(2)]))
        for side in (10, 20)]
    assert_equals_twin(
        general_instances(*sides, overlap=0.3, count=count),
        slow_general_instances(
            *[tuple(x.tolist() for x in side) for side in sides], 0.3, count))


@pytest.mark.parametrize(('shape', 'share'), [
    ((1, 8, 1, 1), 1.0), ((2, 12, 2, 3), 0.0), ((3, 68, 1, 2), 0.4)])
def test_losses_equal_their_twins(shape, share):
    student, teacher = doubles(*shape, seed=1), doubles(*shape, seed=2, spread=4.0)
    n, _, h, w = shape
    generator = torch.Generator().manual_seed(3)
    weights = torch.rand(n, h, w, generator=generator, dtype=torch.float64)
    region = weights * (torch.rand(n, h, w, generator=generator) < share)
    lists = [x.tolist() for x in (student, teacher, region)]
    for tau in (1.0, 10.0):
        assert_equals_twin(
            LDLoss(tau=tau, avg_factor=16.0)(student, teacher, region=region),
            slow_localization_loss(*lists, tau, 16.0))
        assert_equals_twin(
            LDClassLoss(tau=tau)(student, teacher, region=region),
            slow_class_loss(*lists, tau))
    assert_equals_twin(
        LDImitationLoss()(student, teacher, region=region), slow_imitation_loss(*lists))
