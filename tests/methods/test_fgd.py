"""FGD: cases for the laws, and what is special to the class."""

from __future__ import annotations

import copy
from math import exp
from types import SimpleNamespace

import pytest
import torch

from mmkd_ext.errors import ConfigError, DataError, ShapeError
from mmkd_ext.methods import FGDLoss
from mmkd_ext.methods.fgd import focal_maps
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

SIZE = (64, 96)


def sample(*boxes, frame=SIZE, image=None):
    return SimpleNamespace(
        gt_instances=SimpleNamespace(bboxes=torch.tensor(boxes).reshape(-1, 4)),
        metainfo=dict(batch_input_shape=frame, img_shape=image or frame),
    )


BOX = (8.0, 8.0, 40.0, 30.0)
SAMPLES = [sample(BOX, (50.0, 20.0, 90.0, 60.0)), sample()]
ONLY = dict(weight_fg=0.0, weight_bg=0.0, weight_attention=0.0, weight_global=0.0)

# By hand, for maps that are constant: both attentions are 1 everywhere, each mask sums
# to 1, and the context blocks start as the identity.
#   inside 8 (2 - 0.5)^2 = 18, outside 18, attention 0, global 8 * 120 * 1.5^2 = 2160
CONSTANT = torch.full((1, 8, 10, 12), 0.5), torch.full((1, 8, 10, 12), 2.0)
CONSTANT_SAMPLES = [sample((17.0, 17.0, 40.0, 33.0), frame=(80, 96))]
EMPTY = [sample(frame=(80, 96))]
# two positions, one channel: the teacher is at (1, 0), the student at (0, 0)
# 2 |softmax(1 / 0.5, 0) - 1/2| at each of both positions
UNEVEN = 2 * 2 * (1 / (1 + exp(-2)) - 0.5)


def known(value, source, student=CONSTANT[0], teacher=CONSTANT[1], samples=None):
    return KnownValue(
        student, teacher, value, source, {'data_samples': samples or CONSTANT_SAMPLES}
    )


LEVELS = 'levels have parameters of their own, so `levels` fixes their number'


def case(arguments, shape, name, values=()):
    return LossCase(
        FGDLoss,
        {'levels': 1, **arguments},
        inputs=pair(*shape),
        extras=lambda generator: {'data_samples': copy.copy(SAMPLES)},
        values=values,
        exempt={'pyramids_sum_over_levels': LEVELS},
        name=name,
    )


CASES = [
    case({'channels': 2, **dict.fromkeys(ONLY, 1.0)}, (2, 2, 3, 4), 'all terms'),
    case(
        {'channels': 8},
        (2, 8, 1, 2),
        'published weights',
        [
            known(1e-3 * 18 + 5e-4 * 18 + 5e-6 * 2160, 'constant maps, by hand'),
            known(5e-4 * 18 + 5e-6 * 2160, 'without boxes', samples=EMPTY),
        ],
    ),
    case(
        {'channels': 1, **ONLY, 'weight_attention': 1.0},
        (2, 1, 3, 4),
        'attention',
        [
            KnownValue(
                [[[[0.0, 0.0]]]],
                [[[[1.0, 0.0]]]],
                UNEVEN,
                'attention of two positions, by hand',
                {'data_samples': [sample()]},
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ('weight', 'samples', 'value'),
    [
        ('weight_fg', CONSTANT_SAMPLES, 18),
        ('weight_fg', EMPTY, 0),
        ('weight_bg', CONSTANT_SAMPLES, 18),
        ('weight_bg', EMPTY, 18),
        ('weight_attention', CONSTANT_SAMPLES, 0),
        ('weight_global', CONSTANT_SAMPLES, 2160),
    ],
)
def test_each_term_of_constant_maps_has_its_value_by_hand(weight, samples, value):
    loss = FGDLoss(8, 1, **{**ONLY, weight: 1.0})
    assert loss(*CONSTANT, data_samples=samples).item() == pytest.approx(value)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


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


def test_masks_are_made_once_a_level(monkeypatch):
    from mmkd_ext.methods import fgd

    calls = []
    real = fgd.scale_mask
    monkeypatch.setattr(
        fgd,
        'scale_mask',
        lambda *args, **options: calls.append(args[2]) or real(*args, **options),
    )
    sides = [noise(2, 4, 4, 6), noise(2, 4, 2, 3)]
    FGDLoss(4, 2)(sides, sides, data_samples=SAMPLES)
    assert calls == [(4, 6), (2, 3)]


def test_more_weight_inside_moves_the_gradient_inside():
    student = torch.zeros(1, 4, 8, 12, requires_grad=True)
    teacher = torch.ones(1, 4, 8, 12)
    loss = FGDLoss(4, 1, **{**ONLY, 'weight_fg': 1.0})
    loss(student, teacher, data_samples=[sample((16.0, 16.0, 30.0, 30.0))]).backward()
    touched = student.grad.abs().sum((0, 1)) > 0
    assert touched.sum() == 9  # columns and rows 2 to 4
    assert touched[2:5, 2:5].all()


# ---- the frame of the boxes ---------------------------------------------------------


def test_the_padded_frame_puts_the_mask_over_the_object():
    teacher = torch.ones(2, 1, 8, 12)
    boxes = [torch.tensor([[16.0, 16.0, 24.0, 24.0]])] * 2
    maps = focal_maps(teacher, boxes, [SIZE, SIZE])
    assert torch.equal(maps.foreground[0], maps.foreground[1])
    assert maps.foreground[0, 2:4, 2:4].gt(0).all()


def test_the_frames_differ_only_where_an_image_is_padded():
    student, teacher = noise(2, 4, 8, 12), noise(2, 4, 8, 12, seed=1)

    def value(frame, image):
        torch.manual_seed(0)
        one = FGDLoss(4, 1, box_frame=frame, reduction='none')
        return one(
            student,
            teacher,
            data_samples=[sample(BOX), sample((8.0, 8.0, 30.0, 30.0), image=image)],
        )

    assert torch.equal(value('padded', SIZE), value('img_shape', SIZE))
    padded, published = value('padded', (40, 48)), value('img_shape', (40, 48))
    assert padded[0] == published[0]
    assert padded[1] != published[1]
    assert torch.equal(padded, value('padded', SIZE))


def test_the_published_frame_stretches_boxes_over_the_whole_map():
    # by hand: half the width and height, so the box covers twice as many columns
    boxes = [torch.tensor([[0.0, 0.0, 23.0, 15.0]])]
    maps = focal_maps(torch.ones(1, 1, 8, 12), boxes, [(32, 48)])
    assert maps.foreground[0].gt(0).sum() == 5 * 7


def test_the_published_frame_rounds_as_the_published_runs():
    # 24 / 1344 * 168 is 3.0000002 in float32, so the box ends a column later; all the
    # difference lies there
    student = torch.zeros(1, 1, 100, 168, requires_grad=True)
    columns = {}
    for frame in ('padded', 'img_shape'):
        loss = FGDLoss(1, 1, **{**ONLY, 'weight_fg': 1.0}, box_frame=frame)
        one = sample((8.0, 8.0, 24.0, 24.0), frame=(800, 1344))
        value = loss(student, torch.ones(1, 1, 100, 168), data_samples=[one])
        (gradient,) = torch.autograd.grad(value, student)
        columns[frame] = gradient[0, 0].abs().sum(0).nonzero().flatten().tolist()
    assert columns == {'padded': [1, 2, 3], 'img_shape': [1, 2, 3, 4]}


# ---- odd input ----------------------------------------------------------------------


def test_images_without_boxes_train():
    student = noise(2, 4, 8, 12).requires_grad_()
    loss = FGDLoss(4, 1)(
        student, noise(2, 4, 8, 12, seed=1), data_samples=[sample(), sample()]
    )
    loss.backward()
    assert loss > 0
    assert student.grad.isfinite().all()


@pytest.mark.parametrize(
    'box',
    [(10.0, 10.0, 10.0, 40.0), (200.0, 10.0, 240.0, 40.0), (-50.0, -50.0, -1.0, -1.0)],
    ids=['zero area', 'outside', 'before'],
)
def test_boxes_that_are_nowhere_count_as_none(box):
    sides = noise(1, 4, 8, 12), noise(1, 4, 8, 12, seed=1)
    loss = FGDLoss(4, 1)
    assert loss(*sides, data_samples=[sample(box)]) == loss(
        *sides, data_samples=[sample()]
    )


def test_halves_that_would_overflow_stay_finite():
    # 256 channels of a difference of 300 squared are far beyond 65504
    student = torch.full((1, 256, 8, 12), 300.0, dtype=torch.float16)
    loss = FGDLoss(256, 1, weight_global=1.0)(
        student, -student, data_samples=[sample(BOX)]
    )
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert loss > 65504


def test_says_that_the_levels_are_others():
    side = [noise(2, 4, 4, 6)] * 4
    with pytest.raises(ShapeError, match='`FGDLoss` has levels=5, but got 4'):
        FGDLoss(4, 5)(side, side, data_samples=SAMPLES)


def test_says_that_the_channels_are_others():
    side = noise(2, 4, 4, 6)
    with pytest.raises(ShapeError, match=r'Axis `256` differs: `student` \(2, 4, 4, 6'):
        FGDLoss(256, 1)(side, side, data_samples=SAMPLES)


def test_says_that_the_samples_are_of_another_batch():
    side = noise(1, 4, 4, 6)
    with pytest.raises(ShapeError, match='boxes of 2 images, but the feature is'):
        FGDLoss(4, 1)(side, side, data_samples=SAMPLES)


def test_says_that_there_are_no_samples():
    side = noise(1, 4, 4, 6)
    with pytest.raises(DataError, match='`data_samples` must be a sample an image'):
        FGDLoss(4, 1)(side, side, data_samples=None)


# ---- what it takes ------------------------------------------------------------------


def test_a_link_gives_samples_besides_the_two_sides():
    assert FGDLoss.arguments() == {
        'preds_S': True,
        'preds_T': True,
        'data_samples': True,
    }


def test_may_align_channels_and_size():
    assert FGDLoss.alignable == {'channels', 'size'}


@pytest.mark.parametrize(
    ('wrong', 'words'),
    [
        ({'channels': 0}, '`channels` must be an integer >= 1'),
        ({'levels': 0}, '`levels` must be an integer >= 1'),
        ({'weight_fg': -1}, '`weight_fg` must be a number >= 0'),
        ({'weight_global': None}, '`weight_global` must be a number >= 0'),
        ({'tau': 0}, '`tau` must be a number > 0'),
        ({'box_frame': 'pad'}, "`box_frame` must be one of 'padded', 'img_shape'"),
    ],
)
def test_refuses_settings_that_mean_nothing(wrong, words):
    with pytest.raises(ConfigError, match=words):
        FGDLoss(**{'channels': 4, 'levels': 1, **wrong})
