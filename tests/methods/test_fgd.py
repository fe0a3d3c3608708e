"""FGD: cases for the laws, the frames of the boxes, the slow twins."""

from __future__ import annotations

import copy
from math import ceil, exp, floor, sqrt

import numpy
import pytest
import torch
from slow_parts import (
    assert_equals_twin,
    boxed,
    counts,
    dot,
    noise,
    slow_channel_attention,
    slow_spatial_attention,
    softened,
    zeros,
)

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import FGDLoss
from mmkd_ext.methods.fgd import background_mask, scale_mask
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

SIZE = (64, 96)


BOX = (8.0, 8.0, 40.0, 30.0)
SAMPLES = [boxed(BOX, (50.0, 20.0, 90.0, 60.0)), boxed()]
ONLY = dict(weight_fg=0.0, weight_bg=0.0, weight_attention=0.0, weight_global=0.0)
# By hand, for maps that are constant: both attentions are 1 everywhere, each mask sums
# to 1, and the context blocks start as the identity.
#   inside 8 (2 - 0.5)^2 = 18, outside 18, attention 0, global 8 * 120 * 1.5^2 = 2160
CONSTANT = torch.full((1, 8, 10, 12), 0.5), torch.full((1, 8, 10, 12), 2.0)
CONSTANT_SAMPLES = [boxed((17.0, 17.0, 40.0, 33.0), frame=(80, 96))]
EMPTY = [boxed(frame=(80, 96))]
# two positions, one channel: the teacher is at (1, 0), the student at (0, 0)
# 2 |softened(1 / 0.5, 0) - 1/2| at each of both positions
UNEVEN = 2 * 2 * (1 / (1 + exp(-2)) - 0.5)


def known(value, source, student=CONSTANT[0], teacher=CONSTANT[1], samples=None):
    return KnownValue(
        student, teacher, value, source, {'data_samples': samples or CONSTANT_SAMPLES})


LEVELS = 'levels have parameters of their own, so `levels` fixes their number'


def case(arguments, shape, name, values=()):
    return LossCase(
        FGDLoss, {'levels': 1, **arguments}, inputs=pair(*shape),
        extras=lambda generator: {'data_samples': copy.copy(SAMPLES)}, values=values,
        exempt={'pyramids_sum_over_levels': LEVELS}, name=name)


CASES = [
    case({'channels': 2, **dict.fromkeys(ONLY, 1.0)}, (2, 2, 3, 4), 'all terms'),
    case(
        {'channels': 8}, (2, 8, 1, 2), 'published weights',
        [
            known(1e-3 * 18 + 5e-4 * 18 + 5e-6 * 2160, 'constant maps, by hand'),
            known(5e-4 * 18 + 5e-6 * 2160, 'without boxes', samples=EMPTY)]),
    case(
        {'channels': 1, **ONLY, 'weight_attention': 1.0}, (2, 1, 3, 4), 'attention',
        [
            KnownValue(
                [[[[0.0, 0.0]]]], [[[[1.0, 0.0]]]], UNEVEN,
                'attention of two positions, by hand', {'data_samples': [boxed()]})])]


@pytest.mark.parametrize(
    ('weight', 'samples', 'value'),
    [
        ('weight_fg', CONSTANT_SAMPLES, 18), ('weight_fg', EMPTY, 0),
        ('weight_bg', CONSTANT_SAMPLES, 18), ('weight_bg', EMPTY, 18),
        ('weight_attention', CONSTANT_SAMPLES, 0),
        ('weight_global', CONSTANT_SAMPLES, 2160)])
def test_each_term_of_constant_maps_has_its_value_by_hand(weight, samples, value):
    loss = FGDLoss(8, 1, **{**ONLY, weight: 1.0})
    assert loss(*CONSTANT, data_samples=samples).item() == pytest.approx(value)


def test_levels_are_summed():
    shapes = [(2, 4, 8, 12), (2, 4, 4, 6), (2, 4, 1, 1)]
    loss = FGDLoss(4, 3)
    student, teacher = [[noise(*s, seed=k) for s in shapes] for k in (0, 1)]
    whole = loss(student, teacher, data_samples=SAMPLES)
    parts = []
    for level, (s, t) in enumerate(zip(student, teacher)):
        one = FGDLoss(4, 1)
        one.student_context[0] = loss.student_context[level]
        one.teacher_context[0] = loss.teacher_context[level]
        parts.append(one(s, t, data_samples=SAMPLES))
    torch.testing.assert_close(whole, sum(parts))


def test_both_context_blocks_of_every_level_learn():
    torch.manual_seed(0)
    loss = FGDLoss(16, 2, **{**ONLY, 'weight_global': 1.0})
    for parameter in loss.parameters():
        torch.nn.init.normal_(parameter)
    sides = [[noise(2, 16, 4, 6, seed=k), noise(2, 16, 2, 3, seed=k)] for k in (0, 1)]
    for level in sides[1]:
        level.requires_grad_()
    loss(*sides, data_samples=SAMPLES).backward()
    # but for a constant in front of a softmax, which changes nothing
    learning = {n: p for n, p in loss.named_parameters() if 'where.bias' not in n}
    assert len(learning) == 2 * 2 * 7
    assert not [name for name, p in learning.items() if p.grad.abs().max() < 1e-3]
    assert not any(level.grad is not None for level in sides[1])


# ---- the frame of the boxes ---------------------------------------------------------


def test_the_frames_differ_only_where_an_image_is_padded():
    student, teacher = noise(2, 4, 8, 12), noise(2, 4, 8, 12, seed=1)

    def value(frame, image):
        torch.manual_seed(0)
        one = FGDLoss(4, 1, box_frame=frame, reduction='none')
        return one(
            student, teacher,
            data_samples=[boxed(BOX), boxed((8.0, 8.0, 30.0, 30.0), image=image)])

    assert torch.equal(value('padded', SIZE), value('img_shape', SIZE))
    padded, published = value('padded', (40, 48)), value('img_shape', (40, 48))
    assert padded[0] == published[0]
    assert padded[1] != published[1]
    assert torch.equal(padded, value('padded', SIZE))


def test_the_published_frame_rounds_as_the_published_runs():
    # 24 / 1344 * 168 is 3.0000002 in float32, so the box ends a column later; all the
    # difference lies there
    student = torch.zeros(1, 1, 100, 168, requires_grad=True)
    columns = {}
    for frame in ('padded', 'img_shape'):
        loss = FGDLoss(1, 1, **{**ONLY, 'weight_fg': 1.0}, box_frame=frame)
        one = boxed((8.0, 8.0, 24.0, 24.0), frame=(800, 1344))
        value = loss(student, torch.ones(1, 1, 100, 168), data_samples=[one])
        (gradient,) = torch.autograd.grad(value, student)
        columns[frame] = gradient[0, 0].abs().sum(0).nonzero().flatten().tolist()
    assert columns == {'padded': [1, 2, 3], 'img_shape': [1, 2, 3, 4]}


def test_says_that_the_levels_are_others():
    side = [noise(2, 4, 4, 6)] * 4
    with pytest.raises(ShapeError, match='`FGDLoss` has levels=5, but got 4'):
        FGDLoss(4, 5)(side, side, data_samples=SAMPLES)


@pytest.mark.parametrize('wrong', [
    {'channels': 0}, {'levels': 0}, {'weight_fg': -1}, {'weight_global': None},
    {'tau': 0}, {'box_frame': 'pad'}])
def test_refuses_settings_that_mean_nothing(wrong):
    with pytest.raises(ConfigError, match=f'`{next(iter(wrong))}`'):
        FGDLoss(**{'channels': 4, 'levels': 1, **wrong})


MAP = (8, 12)  # a stride of 8


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


@pytest.mark.parametrize('cells', [(100, 168), (7, 11)])
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


def test_a_box_that_ends_at_the_border_counts_with_its_full_size():
    # inclusive ends reach one row and column over the map, as in the authors' code
    mask = on([[48.0, 32.0, 96.0, 64.0]])
    torch.testing.assert_close(mask[4:, 6:], torch.full((4, 6), 1 / (5 * 7)))
    assert mask.sum() == pytest.approx(24 / 35)


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_scale_mask(boxes, sizes, map_size):
    """FGD, scale mask: box after box, cell after cell."""
    result = []
    for image, (image_h, image_w) in zip(boxes, sizes):
        mask = zeros(map_size)
        for box in image:
            if not counts(box, (image_h, image_w)):
                continue
            left = floor(box[0] * map_size[1] / image_w)
            top = floor(box[1] * map_size[0] / image_h)
            right = ceil(box[2] * map_size[1] / image_w)
            bottom = ceil(box[3] * map_size[0] / image_h)
            value = 1 / ((bottom + 1 - top) * (right + 1 - left))
            for y in range(map_size[0]):
                for x in range(map_size[1]):
                    if top <= y <= bottom and left <= x <= right:
                        mask[y][x] = max(mask[y][x], value)
        result.append(mask)
    return result


def slow_background_mask(foreground):
    """FGD, background mask: shared by the cells without a box."""
    result = []
    for image in foreground:
        free = sum(1 for row in image for v in row if v == 0)
        result.append([[1 / free if v == 0 else 0.0 for v in row] for row in image])
    return result


def cells(mask):
    return [v for row in mask for v in row]


def context(image, block):
    """GCNet's block on one image ``[c][h*w]``: what it adds to each channel."""
    where_w, where_b, w1, b1, norm_w, norm_b, w2, b2 = (
        p.squeeze().tolist() for p in block.parameters())
    weights = softened([dot(where_w, place) + where_b for place in zip(*image)])
    summary = [dot(weights, channel) for channel in image]
    hidden = [dot(row, summary) + b for row, b in zip(w1, b1)]
    mean = sum(hidden) / len(hidden)
    variance = sum((h - mean) ** 2 for h in hidden) / len(hidden)
    hidden = [
        max(0, (h - mean) / sqrt(variance + 1e-5) * g + b)
        for h, g, b in zip(hidden, norm_w, norm_b)]
    return [dot(row, hidden) + b for row, b in zip(w2, b2)]


def slow_fgd(student, teacher, boxes, sizes, weights, tau, blocks):
    """FGD on one level, a value for each image."""
    map_size = (len(student[0][0]), len(student[0][0][0]))
    foreground = slow_scale_mask(boxes, sizes, map_size)
    background = slow_background_mask(foreground)
    spatial = [slow_spatial_attention(side, tau) for side in (student, teacher)]
    channel = [slow_channel_attention(side, tau) for side in (student, teacher)]
    result = []
    for n in range(len(student)):
        s, t = ([cells(c) for c in side[n]] for side in (student, teacher))
        attended = cells(spatial[1][n])
        terms = [0.0, 0.0, 0.0, 0.0]
        for c in range(len(s)):
            for i in range(len(s[0])):
                error = attended[i] * channel[1][n][c] * (s[c][i] - t[c][i]) ** 2
                terms[0] += cells(foreground[n])[i] * error
                terms[1] += cells(background[n])[i] * error
        terms[2] = sum(abs(a - b) for a, b in zip(channel[0][n], channel[1][n])) + sum(
            abs(a - b) for a, b in zip(cells(spatial[0][n]), cells(spatial[1][n])))
        added = [context(side, block) for side, block in zip((s, t), blocks)]
        terms[3] = sum(
            (t[c][i] + added[1][c] - s[c][i] - added[0][c]) ** 2 for c in range(len(s))
            for i in range(len(s[0])))
        result.append(sum(w * term for w, term in zip(weights, terms)))
    return result


@pytest.mark.parametrize('cells', [1, 2**22])
@pytest.mark.parametrize('map_size', [(8, 12), (5, 7)])
def test_the_masks_equal_their_twins(map_size, cells, monkeypatch):
    # a limit of 1 compares one box at a time
    monkeypatch.setattr('mmkd_ext.methods.fgd._CELLS', cells)
    boxes = [[], [[3.0, 5.0, 40.0, 30.0]], [
        [-9.5, -3.0, 20.2, 12.0], [80.0, 50.0, 120.0, 70.0], [10.0, 20.0, 10.0, 30.0]]]
    sizes = [SIZE, (64, 80), (50, 96)]
    found = scale_mask([torch.tensor(some).double().reshape(-1, 4) for some in boxes],
                       sizes, map_size)
    slow = slow_scale_mask(boxes, sizes, map_size)
    assert_equals_twin(found, slow)
    if map_size == (8, 12):
        assert_equals_twin(background_mask(found), slow_background_mask(slow))


@pytest.mark.parametrize('frame', ['padded', 'img_shape'])
def test_equals_its_twin(frame):
    torch.manual_seed(0)
    weights = (0.7, 0.3, 0.5, 0.2)
    names = ('weight_fg', 'weight_bg', 'weight_attention', 'weight_global')
    loss = FGDLoss(4, 1, **dict(zip(names, weights)), tau=0.8, box_frame=frame,
                   reduction='none').double()
    for parameter in loss.parameters():
        torch.nn.init.normal_(parameter)  # the blocks start as the identity
    boxes = [[], [[3.0, 5.0, 40.0, 30.0]]]
    images = [SIZE, (64, 80)]
    student, teacher = torch.randn(2, 2, 4, 5, 7, dtype=torch.float64)
    slow = slow_fgd(
        student.tolist(), teacher.tolist(), boxes,
        [SIZE] * 2 if frame == 'padded' else images, weights, 0.8,
        [loss.student_context[0], loss.teacher_context[0]])
    samples = [boxed(*some, image=image) for some, image in zip(boxes, images)]
    # the boxes are float32
    assert_equals_twin(loss(student, teacher, data_samples=samples), slow, 1e-6)
