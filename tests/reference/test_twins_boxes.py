"""Attention, boxes and the losses on them equal their slow twins."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmkd_ext import functional
from mmkd_ext.methods import DeFeatLoss, FGDLoss, FGFILoss
from mmkd_ext.methods.fgfi import imitation_masks

spec = importlib.util.spec_from_file_location(
    'twins_boxes', Path(__file__).with_name('twins_boxes.py')
)
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

SHAPES = [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 1, 6), (1, 5, 3, 1)]
SIZE = (64, 96)
# None, one, over the border, overlapping, thin, without area, outside, upside down
BOXES = [
    [],
    [[3.0, 5.0, 40.0, 30.0]],
    [[-9.5, -3.0, 20.2, 12.0], [80.0, 50.0, 120.0, 70.0], [0.0, 0.0, 96.0, 64.0]],
    [
        [10.0, 10.0, 11.0, 60.0],
        [10.0, 20.0, 10.0, 30.0],
        [200.0, 3.0, 220.0, 9.0],
        [40.0, 30.0, 20.0, 10.0],
        [8.0, 16.0, 32.0, 48.0],
        [16.0, 16.0, 33.0, 49.0],
    ],
]
SIZES = [SIZE, (64, 80), (50, 96), SIZE]


def tensors(boxes):
    return [torch.tensor(some, dtype=torch.float64).reshape(-1, 4) for some in boxes]


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def assert_equals_twin(fast, slow, tolerance=1e-12):
    torch.testing.assert_close(
        fast.detach().double(),
        torch.tensor(slow, dtype=torch.float64),
        rtol=tolerance,
        atol=tolerance,
    )


def samples(boxes, sizes):
    return [
        SimpleNamespace(
            gt_instances=SimpleNamespace(bboxes=some),
            metainfo=dict(batch_input_shape=SIZE, img_shape=size),
        )
        for some, size in zip(tensors(boxes), sizes)
    ]


@pytest.mark.parametrize('tau', [0.25, 0.5, 1.0, 4.0])
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('name', ['spatial_attention', 'channel_attention'])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 1e-5)]
)
def test_attention_equals_its_twin(name, shape, tau, dtype, tolerance):
    feature = noise(*shape).to(dtype)
    fast = getattr(functional, name)(feature, tau=tau)
    assert_equals_twin(fast, getattr(twins, name)(feature.tolist(), tau), tolerance)


@pytest.mark.parametrize('map_size', [(8, 12), (4, 6), (1, 1), (5, 7), (3, 1)])
@pytest.mark.parametrize('name', ['scale_mask', 'box_mask'])
@pytest.mark.parametrize('cells', [1, 2**22])
def test_masks_equal_their_twins(name, map_size, cells, monkeypatch):
    # a limit of 1 compares one box at a time
    monkeypatch.setattr('mmkd_ext.methods.fgd._CELLS', cells)
    fast = getattr(functional, name)(tensors(BOXES), SIZES, map_size)
    assert_equals_twin(fast, getattr(twins, name)(BOXES, SIZES, map_size))


def test_the_background_equals_its_twin():
    foreground = functional.scale_mask(tensors(BOXES[:2]), SIZES[:2], (8, 12))
    fast = functional.background_mask(foreground)
    assert_equals_twin(fast, twins.background_mask(foreground.tolist()))


@pytest.mark.parametrize('levels', [1, 4, 5])
def test_levels_of_boxes_equal_their_twin(levels):
    sides = [0.0, 1.0, 55.9, 56.0, 111.9, 112.0, 224.0, 300.0, 448.0, 2000.0]
    boxes = [[1.0, 2.0, 1.0 + side, 2.0 + side] for side in sides]
    fast = functional.box_levels(torch.tensor(boxes).double(), levels)
    assert fast.tolist() == twins.box_levels(boxes, levels, 56)


def test_overlaps_equal_their_twin():
    boxes = [box for image in BOXES for box in image]
    for name in ('box_iou', 'box_iof'):
        fast = getattr(functional, name)(tensors([boxes])[0], tensors([boxes])[0])
        assert_equals_twin(fast, getattr(twins, name)(boxes, boxes))


def anchors_of(map_size, sides, stride):
    """Two square anchors at each place, rows of cells first."""
    return torch.tensor(
        [
            [
                x * stride - s / 2,
                y * stride - s / 2,
                x * stride + s / 2,
                y * stride + s / 2,
            ]
            for y in range(map_size[0])
            for x in range(map_size[1])
            for s in sides
        ],
        dtype=torch.float64,
    )


ANCHORS = [anchors_of((8, 12), (12, 20), 8), anchors_of((4, 6), (30, 50), 16)]
MAP_SIZES = [(8, 12), (4, 6)]


@pytest.mark.parametrize('threshold', [0.2, 0.5, 0.9])
@pytest.mark.parametrize('pairs', [1, 2**22])
def test_imitation_masks_equal_their_twin(threshold, pairs, monkeypatch):
    monkeypatch.setattr('mmkd_ext.methods.fgfi._PAIRS', pairs)
    fast = imitation_masks(ANCHORS, tensors(BOXES), MAP_SIZES, threshold=threshold)
    slow = twins.imitation_masks(
        [level.tolist() for level in ANCHORS], BOXES, MAP_SIZES, threshold
    )
    for found, wanted in zip(fast, slow):
        assert_equals_twin(found, wanted)
    assert fast[0].sum() > 0
    assert (fast[0] == 0).sum() > 0


def block_weights(block):
    """Weights of a context block as the twin takes them."""
    where, first, norm, last = (
        block.where,
        block.transform[0],
        block.transform[1],
        block.transform[3],
    )
    return [
        where.weight.flatten().tolist(),
        where.bias.item(),
        first.weight.tolist(),
        first.bias.tolist(),
        norm.weight.tolist(),
        norm.bias.tolist(),
        last.weight.tolist(),
        last.bias.tolist(),
    ]


@pytest.mark.parametrize('frame', ['padded', 'img_shape'])
def test_fgd_equals_its_twin(frame):
    torch.manual_seed(0)
    weights = (0.7, 0.3, 0.5, 0.2)
    loss = FGDLoss(
        4,
        1,
        weight_fg=weights[0],
        weight_bg=weights[1],
        weight_attention=weights[2],
        weight_global=weights[3],
        tau=0.8,
        box_frame=frame,
        reduction='none',
    ).double()
    for parameter in loss.parameters():
        torch.nn.init.normal_(parameter)  # the blocks start as the identity
    boxes = [BOXES[0], BOXES[1], BOXES[3]]
    sizes = [SIZES[0], SIZES[1], SIZES[2]]
    student, teacher = noise(2, 3, 4, 5, 7)
    slow = twins.fgd(
        student.tolist(),
        teacher.tolist(),
        boxes,
        [SIZE] * 3 if frame == 'padded' else sizes,
        weights,
        0.8,
        [
            block_weights(loss.student_context[0]),
            block_weights(loss.teacher_context[0]),
        ],
    )
    fast = loss(student, teacher, data_samples=samples(boxes, sizes))
    assert_equals_twin(fast, slow, 1e-11)


def test_defeat_equals_its_twin():
    levels = [noise(2, 4, 3, 8, 12), noise(2, 4, 3, 4, 6, seed=1)]
    boxes = [[], [[3.0, 5.0, 20.0, 19.0]], [[-9.0, 0.0, 96.0, 64.0]], BOXES[3]]
    slow = 0
    for index, (student, teacher) in enumerate(levels):
        mine = [
            [b for b in some if twins.box_levels([b], 2, 16)[0] == index]
            for some in boxes
        ]
        mask = twins.box_mask(mine, [SIZE] * 4, student.shape[2:])
        slow += twins.defeat(student.tolist(), teacher.tolist(), mask, 3, 12) / 2
    fast = DeFeatLoss(finest_scale=16)(
        [s for s, _ in levels],
        [t for _, t in levels],
        data_samples=samples(boxes, [SIZE] * 4),
    )
    assert_equals_twin(fast, slow)


def test_fgfi_equals_its_twin():
    levels = [noise(2, 4, 3, 8, 12), noise(2, 4, 3, 4, 6, seed=1)]
    generator = SimpleNamespace(grid_priors=lambda sizes, device: ANCHORS)
    masks = twins.imitation_masks([a.tolist() for a in ANCHORS], BOXES, MAP_SIZES, 0.5)
    slow = twins.fgfi([(s.tolist(), t.tolist()) for s, t in levels], masks)
    fast = FGFILoss()(
        [s for s, _ in levels],
        [t for _, t in levels],
        data_samples=samples(BOXES, [SIZE] * 4),
        head=SimpleNamespace(prior_generator=generator),
    )
    assert_equals_twin(fast, slow)


def test_every_function_of_these_topics_has_a_twin():
    from mmkd_ext.functional import attention, boxes

    missing = [
        name for name in attention.__all__ + boxes.__all__ if not hasattr(twins, name)
    ]
    assert not missing
