"""LD: cases for the laws, its regions on a small head, and bad input."""

from __future__ import annotations

from math import log
from types import SimpleNamespace

import pytest
import torch

from mmkd_ext.errors import ConfigError, DataError, ShapeError
from mmkd_ext.functional import inside_region, valuable_region
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
        LDLoss,
        inputs=pair(2, 8, 2, 3),
        extras=region_of(2, 2, 3),
        temperature='tau',
        invariances={'a constant added to each side': a_constant_for_each_side},
        values=[
            KnownValue(
                maps(FLAT, FLAT),
                maps(ONE_SIDE_TEMPERED, ONE_SIDE_TEMPERED),
                100 * KL / 2 * 0.5 / 4,
                'one row of two bins, weight 1/2, four sides; the second '
                'position is outside',
                {'region': torch.tensor([[[0.5, 0.0]]])},
            ),
            KnownValue(
                maps(FLAT),
                maps([10 * x for x in [log(3), 0.0] * 4]),
                100 * KL / 2,
                'all four sides, weight 1',
                {'region': torch.ones(1, 1, 1)},
            ),
        ],
    ),
    LossCase(
        LDLoss,
        {'tau': 1.0, 'avg_factor': 16.0},
        inputs=pair(2, 12, 2, 3),
        extras=region_of(2, 2, 3),
        values=[
            KnownValue(
                maps(FLAT),
                maps(ONE_SIDE),
                KL / 2 / 16,
                'the oracle tau**2 / bins * KL / avg_factor',
                {'region': torch.ones(1, 1, 1)},
            )
        ],
    ),
    LossCase(
        LDClassLoss,
        inputs=pair(2, 3, 2, 3),
        extras=region_of(2, 2, 3),
        temperature='tau',
        values=[
            KnownValue(
                maps([0.0, 0.0], [0.0, 0.0]),
                maps([2 * log(3), 0.0], [9.0, -9.0]),
                4 * KL / 2,
                'two classes, one position; the weight does not matter',
                {'region': torch.tensor([[[0.25, 0.0]]])},
            ),
            KnownValue(
                maps([0.0, 0.0], [0.0, 0.0]),
                maps([2 * log(3), 0.0], [0.0, 0.0]),
                4 * KL / 2 / 2,
                'a mean over two positions',
                {'region': torch.tensor([[[0.25, 0.75]]])},
            ),
        ],
    ),
    LossCase(
        LDImitationLoss,
        inputs=pair(2, 3, 2, 3),
        extras=region_of(2, 2, 3),
        values=[
            KnownValue(
                maps([1.0, 5.0], [9.0, 9.0], [0.0, 0.0]),
                maps([0.0, 2.0], [0.0, 0.0], [0.0, 0.0]),
                (1 + 9) / 4,
                'squares 1 and 9, two channels, two of three positions',
                {'region': torch.tensor([[[0.1, 0.0, 1.0]]])},
            )
        ],
    ),
]

LOSSES = pytest.mark.parametrize('cls', [LDLoss, LDClassLoss, LDImitationLoss])


# ---- the losses ---------------------------------------------------------------------


@LOSSES
def test_an_empty_region_is_zero_with_a_gradient_of_zeros(cls):
    student = torch.randn(2, 8, 3, 4, requires_grad=True)
    loss = cls()(student, torch.randn(2, 8, 3, 4), region=torch.zeros(2, 3, 4))
    loss.backward()
    assert loss == 0
    assert not student.grad.any()


@LOSSES
def test_only_positions_inside_get_a_gradient(cls):
    student = torch.randn(1, 8, 3, 4, requires_grad=True)
    region = torch.zeros(1, 3, 4)
    region[0, 1, 2] = 0.5
    cls()(student, torch.randn(1, 8, 3, 4), region=region).backward()
    assert torch.equal(student.grad[0].abs().sum(0) > 0, region[0] > 0)


@LOSSES
def test_each_level_has_its_own_region(cls):
    student, teacher = (
        [torch.randn(2, 8, 4, 6), torch.randn(2, 8, 2, 3)] for _ in range(2)
    )
    regions = [torch.rand(2, 4, 6), torch.rand(2, 2, 3)]
    apart = [cls()(s, t, region=r) for s, t, r in zip(student, teacher, regions)]
    torch.testing.assert_close(cls()(student, teacher, region=regions), sum(apart))


@LOSSES
def test_refuses_another_number_of_regions(cls):
    levels = [torch.randn(1, 8, 2, 2)] * 2
    with pytest.raises(ShapeError, match=r'`region` has 1 levels, .* have 2'):
        cls()(levels, levels, region=[torch.ones(1, 2, 2)])


@LOSSES
def test_refuses_a_region_of_another_size(cls):
    with pytest.raises(ShapeError, match='Axis `w` differs: `region`'):
        cls()(
            torch.randn(1, 8, 2, 2), torch.randn(1, 8, 2, 2), region=torch.ones(1, 2, 3)
        )


@LOSSES
def test_needs_a_region(cls):
    taps = {name: needed for name, needed in cls.arguments().items() if needed}
    assert taps == {'preds_S': True, 'preds_T': True, 'region': True}


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


def test_refuses_positives_of_another_number_of_levels():
    levels = [torch.randn(1, 8, 2, 2)] * 2
    with pytest.raises(ShapeError, match=r'`positives` has 1 levels, .* have 2'):
        LDImitationLoss()(
            levels,
            levels,
            region=torch.ones(1, 2, 2),
            positives=[torch.ones(1, 2, 2)],
        )


def test_a_constant_factor_divides_and_not_the_number_of_positives():
    student, teacher = torch.randn(2, 2, 8, 2, 3)
    one = LDLoss()(student[:1], teacher[:1], region=torch.ones(1, 2, 3))
    doubled = LDLoss()(
        student[:1].repeat(2, 1, 1, 1),
        teacher[:1].repeat(2, 1, 1, 1),
        region=torch.ones(2, 2, 3),
    )
    torch.testing.assert_close(doubled, 2 * one)


def test_the_class_term_is_a_mean_over_the_positions_of_both_images():
    student, teacher = torch.randn(2, 2, 8, 2, 3)
    ones = torch.ones(1, 2, 3)
    one = LDClassLoss()(student[:1], teacher[:1], region=ones)
    both = LDClassLoss()(
        student[:1].repeat(2, 1, 1, 1),
        teacher[:1].repeat(2, 1, 1, 1),
        region=ones.repeat(2, 1, 1),
    )
    torch.testing.assert_close(both, one)


@pytest.mark.parametrize('channels', [4, 6, 18])
def test_refuses_what_is_no_distribution_of_four_sides(channels):
    boxes = torch.randn(1, channels, 2, 2)
    with pytest.raises(
        ShapeError,
        match=r'no box distributions: LD needs .* GFL-type '
        r'head .*4 \* \(reg_max \+ 1\)',
    ):
        LDLoss()(boxes, boxes, region=torch.ones(1, 2, 2))


def test_names_the_bins_where_reg_max_differs():
    with pytest.raises(
        ShapeError,
        match=r'17 bins a side, `teacher` .* has 9; both '
        r'heads need the same `reg_max`',
    ):
        LDLoss()(
            torch.randn(1, 68, 2, 2),
            torch.randn(1, 36, 2, 2),
            region=torch.ones(1, 2, 2),
        )


def test_names_the_classes_where_they_differ():
    with pytest.raises(ShapeError, match='differ in classes'):
        LDClassLoss()(
            torch.randn(1, 80, 2, 2),
            torch.randn(1, 20, 2, 2),
            region=torch.ones(1, 2, 2),
        )


@pytest.mark.parametrize('wrong', [0, -1.0, float('nan'), '4'])
def test_refuses_settings_that_are_not_positive(wrong):
    for cls in (LDLoss, LDClassLoss):
        with pytest.raises(ConfigError, match='`tau` must be a number > 0'):
            cls(tau=wrong)
    with pytest.raises(ConfigError, match='`avg_factor` must be a number > 0'):
        LDLoss(avg_factor=wrong)


def test_only_features_may_be_aligned_and_only_in_channels():
    # bins and classes are no channels to be mixed, positions are anchors
    assert LDLoss.alignable == LDClassLoss.alignable == frozenset()
    assert LDImitationLoss.alignable == {'channels'}


# ---- the regions --------------------------------------------------------------------

STRIDES = [8, 16]
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
    return [
        SimpleNamespace(
            gt_instances=SimpleNamespace(bboxes=torch.tensor(b).float().reshape(-1, 4)),
            metainfo=info,
        )
        for b in boxes
    ]


def logits_of(images, classes=3, spread=1.0):
    return tuple(spread * torch.randn(images, classes, *size) for size in SIZES)


BOX = [4.0, 4.0, 60.0, 30.0]
BY_BOXES = pytest.mark.parametrize(
    'region',
    [LDValuableRegion(), LDInsideRegion(), LDFineGrainedRegion()],
    ids=lambda region: type(region).__name__,
)


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
            torch.stack([found[0, 1, 2], found[1, 0, 0]]), torch.stack(best)
        )


def test_main_region_takes_plain_labels_too():
    logits = logits_of(1)
    targets = [torch.zeros(32), torch.full((8,), 3)]
    region = LDMainRegion()(head_of(), logits=logits, targets=targets)
    assert region[0].all()
    assert not region[1].any()


def test_main_region_lets_no_gradient_through():
    logits = tuple(x.requires_grad_() for x in logits_of(1))
    targets = [torch.zeros(32), torch.zeros(8)]
    for level in LDMainRegion()(head_of(), logits=logits, targets=targets):
        assert not level.requires_grad


@pytest.mark.parametrize(
    ('targets', 'message'),
    [
        ([torch.zeros(32)], "labels of 2 levels, but is 1; .*call='all'"),
        (torch.zeros(40), 'labels of 2 levels, but is Tensor'),
        ([torch.zeros(32), torch.zeros(9)], 'a label for each of the 1x2x4 positions'),
        ([torch.zeros(32), None], 'a label for each of the 1x2x4 positions'),
    ],
)
def test_main_region_refuses_other_labels(targets, message):
    with pytest.raises(ShapeError, match=message):
        LDMainRegion()(head_of(), logits=logits_of(1), targets=targets)


def test_inside_region_is_where_anchor_centres_are():
    region = LDInsideRegion()(
        head_of(), logits=logits_of(1), data_samples=samples_of([7.0, 7.0, 17.0, 9.0])
    )
    assert region[0][0].nonzero().tolist() == [[1, 1], [1, 2]]  # (8, 8) and (16, 8)
    assert not region[1].any()  # (16, 16) is outside


@BY_BOXES
def test_regions_are_maps_of_each_level(region):
    found = region(head_of(), logits=logits_of(2), data_samples=samples_of([BOX], BOX))
    assert [level.shape for level in found] == [(2, *size) for size in SIZES]
    assert found[0].any()
    assert torch.equal(found[0][0], found[0][1])


@BY_BOXES
def test_an_image_without_boxes_has_an_empty_region(region):
    one, none = (
        region(head_of(), logits=logits_of(2), data_samples=samples)
        for samples in (samples_of(BOX, []), samples_of([], []))
    )
    assert one[0][0].any()
    assert not any(level[1].any() for level in one)
    assert not any(level.any() for level in none)


@BY_BOXES
@pytest.mark.parametrize(
    'box',
    [
        [20.0, 20.0, 20.0, 20.0],
        [20.0, 12.0, 20.0, 24.0],
        [500.0, 500.0, 600.0, 600.0],
        [-900.0, -90.0, -600.0, -60.0],
        [30.0, 30.0, 10.0, 10.0],
    ],
)
def test_boxes_without_area_or_outside_have_no_region(region, box):
    found = region(head_of(), logits=logits_of(1), data_samples=samples_of(box))
    assert all(level.isfinite().all() for level in found)
    assert not any(level.any() for level in found)


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
            Anchors().grid_priors(SIZES, 'cpu'), SIZES, (5, 3)
        )
    ]
    wanted = valuable_region(levels, torch.tensor([box]))
    cut = [x[0, :, :width].flatten() for x, width in zip(found, (5, 3))]
    assert torch.equal(torch.cat(cut), wanted)
    free = LDValuableRegion()(
        head_of(), logits=logits_of(1), data_samples=samples_of(box)
    )
    assert not torch.equal(found[0][..., :5], free[0][..., :5])


@BY_BOXES
def test_takes_boxes_wrapped_as_mmdet_does(region):
    plain = samples_of(BOX)
    wrapped = [
        SimpleNamespace(
            gt_instances=SimpleNamespace(
                bboxes=SimpleNamespace(tensor=plain[0].gt_instances.bboxes)
            ),
            metainfo={},
        )
    ]
    logits = logits_of(1)
    for found, wanted in zip(
        *(
            region(head_of(), logits=logits, data_samples=samples)
            for samples in (wrapped, plain)
        )
    ):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize('published', [False, True])
def test_the_valuable_region_has_a_switch_for_the_published_diou(published):
    found = LDValuableRegion(published_diou=published)(
        head_of(), logits=logits_of(1), data_samples=samples_of(BOX)
    )
    levels = Anchors().grid_priors(SIZES, 'cpu')
    wanted, other = (
        valuable_region(levels, torch.tensor([BOX]), published_diou=switch)
        for switch in (published, not published)
    )
    assert torch.equal(torch.cat([x.flatten() for x in found]), wanted)
    assert not torch.equal(wanted, other)


def test_regions_are_worth_what_the_functions_say():
    logits = logits_of(1)
    found = LDInsideRegion()(head_of(), logits=logits, data_samples=samples_of(BOX))
    anchors = torch.cat(Anchors().grid_priors(SIZES, 'cpu'))
    wanted = inside_region(anchors, torch.tensor([BOX]))
    assert torch.equal(torch.cat([x.flatten() for x in found]), wanted.float())


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
        'bins_T': tuple(torch.randn(images, 4 * bins, *size) for size in SIZES),
    }


def test_general_instances_are_a_few_of_each_image_and_level():
    region = LDGIRegion(count=3)(head_of(), **gi_inputs())
    for level, size in zip(region, SIZES):
        assert level.shape == (2, *size)
        assert set(level.unique().tolist()) <= {0.0, 1.0}
        assert (level.sum((1, 2)) >= 1).all()
        assert (level.sum((1, 2)) <= 3).all()


def test_general_instances_of_an_image_do_not_depend_on_the_others():
    inputs = gi_inputs()
    together = LDGIRegion()(head_of(), **inputs)
    for i in range(2):
        alone = LDGIRegion()(
            head_of(),
            **{
                key: tuple(x[i : i + 1] for x in levels)
                for key, levels in inputs.items()
            },
        )
        for level, one in zip(together, alone):
            assert torch.equal(level[i : i + 1], one)


def test_the_greatest_disagreement_is_a_general_instance():
    inputs = gi_inputs(images=1)
    inputs['logits_T'] = tuple(x.clone() for x in inputs['logits_S'])
    inputs['logits_T'][0][0, 1, 2, 5] += 4.0
    region = LDGIRegion(count=1)(head_of(), **inputs)
    assert region[0][0].nonzero().tolist() == [[2, 5]]


def test_general_instances_refuse_other_classes_and_bins():
    inputs = gi_inputs()
    with pytest.raises(ShapeError, match='Axis `k` differs'):
        LDGIRegion()(head_of(), **{**inputs, 'logits_T': logits_of(2, classes=4)})
    with pytest.raises(ShapeError, match='`bins_S` has 1 levels, `logits_S` 2'):
        LDGIRegion()(
            head_of(),
            **{
                **inputs,
                'bins_S': inputs['bins_S'][:1],
                'bins_T': inputs['bins_T'][:1],
            },
        )


def all_regions(head, logits):
    classes = {'logits_S': logits, 'logits_T': logits}
    yield lambda: LDMainRegion()(head, logits=logits, targets=[torch.zeros(32)] * 2)
    for region in (LDValuableRegion(), LDInsideRegion(), LDFineGrainedRegion()):
        yield lambda region=region: region(
            head, logits=logits, data_samples=samples_of(BOX)
        )
    yield lambda: LDGIRegion()(head, **{**gi_inputs(1), **classes})


def test_every_region_refuses_a_head_without_distributions():
    class RetinaHead(torch.nn.Module):
        prior_generator = Anchors()

    for run in all_regions(RetinaHead(), logits_of(1)):
        with pytest.raises(
            ConfigError,
            match=r'`RetinaHead` has no `reg_max`, .* LD '
            'needs a GFL-type head',
        ):
            run()


def test_regions_of_anchors_refuse_fewer_levels_than_the_head_has():
    for run in list(all_regions(head_of(), logits_of(1)[:1]))[1:]:
        with pytest.raises(ShapeError, match='for 2 levels, but `logits` has 1'):
            run()


def test_regions_of_anchors_refuse_several_anchors_a_position():
    anchors = Anchors()
    anchors.per_position = 9
    head = head_of(prior_generator=anchors)
    for run in list(all_regions(head, logits_of(1)))[1:]:
        with pytest.raises(ShapeError, match='9 anchors a position, but LD needs one'):
            run()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_read_in_float32(dtype):
    logits = tuple((40 * x).to(dtype) for x in logits_of(1))
    targets = [torch.zeros(32), torch.zeros(8)]
    region = LDMainRegion()(head_of(), logits=logits, targets=targets)
    assert region[0].dtype == torch.float32
    assert torch.equal(region[0], logits[0].float().sigmoid().amax(1))
    inputs = {
        key: tuple(x.to(dtype) for x in levels) for key, levels in gi_inputs().items()
    }
    assert all(level.any() for level in LDGIRegion()(head_of(), **inputs))
    for run in (LDValuableRegion(), LDInsideRegion(), LDFineGrainedRegion()):
        found = run(head_of(), logits=logits, data_samples=samples_of(BOX))
        assert found[0].dtype == torch.float32


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: LDValuableRegion(nearest=0), '`nearest` must be an integer >= 1'),
        (lambda: LDValuableRegion(low=1.5), '`low` must be a number >= 0 and <= 1'),
        (
            lambda: LDFineGrainedRegion(share=-1),
            '`share` must be a number >= 0 and <= 1',
        ),
        (lambda: LDGIRegion(overlap=2), '`overlap` must be a number >= 0 and <= 1'),
        (lambda: LDGIRegion(count=0), '`count` must be an integer >= 1'),
    ],
)
def test_regions_refuse_settings_out_of_range(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
