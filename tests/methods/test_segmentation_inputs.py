"""Every method for segmentation on batches that are strange: a number, or a clear word.

Each method is its connectors and its loss, on features or logits of a tiny pair, as a
link would give them; two steps, so that memories have something to remember.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmkd_ext.connectors import ConvAdapter
from mmkd_ext.errors import CheckpointError, ConfigError, ShapeError
from mmkd_ext.methods import (
    ATLoss,
    CIRKDChannelLoss,
    CIRKDChannelMemoryLoss,
    CIRKDMiniBatchLoss,
    CIRKDPixelMemoryLoss,
    CIRKDProjection,
    CIRKDRegionMemoryLoss,
    CWDLoss,
    DISTLoss,
    DKDPixelLoss,
    FitNetsLoss,
    IFVDLoss,
    KAAdaptLoss,
    KAAffinityLoss,
    KAEncoder,
    KAReconstructionLoss,
    KDLoss,
    MGDConnector,
    MGDLoss,
    ReviewKDFusion,
    ReviewKDLoss,
    SKDSPairwiseLoss,
)

CLASSES, WIDTH, WIDE = 5, 4, 6
LOGITS, FEATURE, CODE, PYRAMID = 'logits', 'feature', 'code', 'pyramid'


class Pair(nn.Module):
    """A link without a distiller: connectors, the teacher's size, the loss."""

    def __init__(self, loss, kind, connector=None, encoder=None):
        super().__init__()
        self.loss, self.kind = loss, kind
        self.connector, self.encoder = connector, encoder

    def forward(self, student, teacher, data_samples):
        if self.connector is not None:
            student = self.connector(student)
        if self.encoder is not None:
            teacher = self.encoder(teacher)
        if self.kind != PYRAMID and 'size' in self.loss.alignable:
            student = F.interpolate(student, teacher.shape[2:], mode='bilinear')
        takes = self.loss.arguments()
        extras = {'data_samples': data_samples} if 'data_samples' in takes else {}
        return self.loss(student, teacher, **extras)


def adapter(**more):
    return ConvAdapter(WIDTH, WIDE, **more)


def ka(loss):
    code = dict(channels=WIDE, widths=(5,), strides=(2,))
    return Pair(
        loss, FEATURE, ConvAdapter(WIDTH, 5, kernel_size=3, norm=True, act=True),
        KAEncoder(**code, checkpoint=None))


class Reconstruction(nn.Module):
    """KA's first stage, whose both sides are one feature; it is learned itself."""

    kind = FEATURE

    def __init__(self):
        super().__init__()
        self.loss = KAReconstructionLoss(WIDE, widths=(5, 3), strides=(2, 2))

    def forward(self, student, teacher, data_samples):
        return self.loss(teacher, teacher) + 0 * student.sum()


METHODS: dict[str, Callable[[], Any]] = {
    'KD': lambda: Pair(KDLoss(tau=2.0), LOGITS),
    'CWD logits': lambda: Pair(CWDLoss(tau=4.0), LOGITS),
    'CWD features': lambda: Pair(CWDLoss(), FEATURE, adapter()),
    'DIST': lambda: Pair(DISTLoss(), LOGITS),
    'DKD': lambda: Pair(DKDPixelLoss(beta=0.5), LOGITS),
    'SKDS pair-wise': lambda: Pair(SKDSPairwiseLoss(), FEATURE),
    'SKDS pair-wise, many regions': lambda: Pair(SKDSPairwiseLoss(0.1), FEATURE),
    'IFVD': lambda: Pair(IFVDLoss(CLASSES), FEATURE),
    'CIRKD mini-batch': lambda: Pair(CIRKDMiniBatchLoss(), FEATURE),
    'CIRKD pixel memory': lambda: Pair(
        CIRKDPixelMemoryLoss(CLASSES, WIDE, size=8, samples=4), FEATURE,
        CIRKDProjection(WIDTH, WIDE)),
    'CIRKD region memory': lambda: Pair(
        CIRKDRegionMemoryLoss(CLASSES, WIDE, size=8, samples=4), FEATURE,
        CIRKDProjection(WIDTH, WIDE)),
    'CIRKD channels': lambda: Pair(
        CIRKDChannelLoss(pool=2), FEATURE, CIRKDProjection(WIDTH, WIDE)),
    'CIRKD channel memory': lambda: Pair(
        CIRKDChannelMemoryLoss((2, 3), size=16, samples=8, new_keys=4), FEATURE,
        CIRKDProjection(WIDTH, WIDE)),
    'KA adapt': lambda: ka(KAAdaptLoss()),
    'KA adapt, other norms': lambda: ka(KAAdaptLoss(p=2.0, q=1.0)),
    'KA affinity': lambda: ka(KAAffinityLoss()),
    'KA reconstruction': Reconstruction,
    'MGD': lambda: Pair(
        MGDLoss(), FEATURE, MGDConnector(WIDE, 0.75, in_channels=WIDTH, seed=0)),
    'AT': lambda: Pair(ATLoss(), FEATURE),
    'FitNets': lambda: Pair(FitNetsLoss(), FEATURE, adapter()),
    'ReviewKD': lambda: Pair(
        ReviewKDLoss(), PYRAMID, ReviewKDFusion(2, WIDE, 3, in_channels=WIDTH))}
WITH_LABELS = ['DKD', 'IFVD', 'CIRKD pixel memory', 'CIRKD region memory']


@dataclass
class Batch:
    """What a link may get: labels at the size of the picture, maps at their strides."""

    labels: torch.Tensor
    map_size: tuple[int, int]
    teacher_size: tuple[int, int]
    flat: float | None = None

    def sides(self, kind, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def draw(channels, size):
            x = torch.randn(len(self.labels), channels, *size, generator=generator)
            return x if self.flat is None else torch.full_like(x, self.flat)

        if kind == LOGITS:
            return draw(CLASSES, self.map_size), draw(CLASSES, self.teacher_size)
        if kind == PYRAMID:
            # the levels of a pyramid are as large on both sides
            half = tuple(-(-side // 2) for side in self.map_size)
            return tuple(
                [draw(channels, size) for size in (self.map_size, half)]
                for channels in (WIDTH, WIDE))
        return draw(WIDTH, self.map_size), draw(WIDE, self.teacher_size)

    @property
    def samples(self):
        return [
            SimpleNamespace(gt_sem_seg=SimpleNamespace(data=one[None]))
            for one in self.labels]


def labels(batch=2, height=32, width=32, highest=CLASSES):
    drawn = torch.Generator().manual_seed(7)
    return torch.randint(0, highest, (batch, height, width), generator=drawn)


def batch(truth, stride=4, teacher_stride=None, **more):
    def size(stride):
        return tuple(-(-side // stride) for side in truth.shape[1:])

    return Batch(truth, size(stride), size(teacher_stride or stride), **more)


BATCHES = {
    'as usual': batch(labels()),
    'all pixels ignored': batch(torch.full((2, 32, 32), 255)),
    'one of two images ignored': batch(
        torch.stack([labels()[0], torch.full((32, 32), 255)])),
    'one pixel that counts': batch(
        torch.full((2, 32, 32), 255).index_put(
            (torch.tensor([0]),) * 3, torch.tensor(3))),
    'a class absent': batch(labels().where(labels() != 2, 1)),
    'one class alone': batch(torch.full((2, 32, 32), 4)),
    'one image': batch(labels(1)),
    'one image, ignored': batch(torch.full((1, 32, 32), 255)),
    'a crop that does not divide': batch(labels(2, 33, 47)),
    'wide': batch(labels(2, 16, 64)),
    'high': batch(labels(2, 64, 16)),
    'a teacher of a finer stride': batch(labels(), 8, 4),
    'a teacher of a coarser stride': batch(labels(2, 33, 47), 4, 8),
    'features of 0': batch(labels(), flat=0.0),
    'features that do not vary': batch(labels(), flat=1.5)}


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


def steps(pair, case, count=2):
    """Trains on the batch; returns the losses and the gradient on the student."""
    found = []
    for seed in range(count):
        student, teacher = case.sides(pair.kind, seed)
        leaves = [
            x.requires_grad_() for x in (student if pair.kind == PYRAMID else [student])
        ]
        loss = pair(student, teacher, case.samples)
        pair.zero_grad()
        loss.backward()
        found.append(loss.item())
        for x in [*leaves, *pair.parameters()]:
            assert x.grad is None or x.grad.isfinite().all()
        assert all(x.grad is not None for x in leaves)
    assert all(buffer.isfinite().all() for buffer in pair.buffers())
    return found, torch.cat([x.grad.flatten() for x in leaves])


@pytest.mark.parametrize('method', METHODS)
def test_the_loss_and_every_gradient_are_finite(method):
    for name, case in BATCHES.items():
        found, gradient = steps(METHODS[method](), case)
        assert all(-1e-6 < value < float('inf') for value in found), name
        if name == 'as usual':
            assert found[-1] > 0
            assert gradient.any() == (method != 'KA reconstruction')


@pytest.mark.parametrize('method', WITH_LABELS)
def test_where_all_pixels_are_ignored_methods_that_use_labels_teach_nothing(method):
    pair = METHODS[method]()
    steps(pair, BATCHES['as usual'])
    found, gradient = steps(pair, BATCHES['all pixels ignored'])
    assert found == [0, 0]
    assert not gradient.any()


@pytest.mark.parametrize('method', ['CIRKD pixel memory', 'CIRKD region memory'])
def test_of_an_ignored_batch_nothing_is_remembered(method):
    pair = METHODS[method]()
    steps(pair, BATCHES['all pixels ignored'])
    assert not pair.loss.memory.filled.any()
    steps(pair, BATCHES['a class absent'])
    assert (pair.loss.memory.filled > 0).tolist() == [True, True, False, True, True]


@pytest.mark.parametrize('method', METHODS)
def test_a_picture_that_is_no_number_is_seen_in_the_loss(method):
    # a loss that hid it would let a broken teacher or student train on
    pair = METHODS[method]()
    student, teacher = BATCHES['as usual'].sides(pair.kind)
    for x in (student[0], teacher[0]):
        x[0] = float('nan')
    loss = pair(student, teacher, BATCHES['as usual'].samples)
    assert loss.isnan()


@pytest.mark.parametrize('method', ['CIRKD pixel memory', 'CIRKD region memory', 'DKD'])
def test_labels_beyond_the_classes_are_refused_with_both_numbers(method):
    truth = labels().index_put((torch.tensor([0]),) * 3, torch.tensor(CLASSES))
    pair = METHODS[method]()
    with pytest.raises(ConfigError, match='reduce_zero_label') as error:
        steps(pair, batch(truth, stride=1))
    assert f'labels reach {CLASSES}' in str(error.value)


def test_ifvd_takes_labels_beyond_the_classes_for_ignored_ones():
    # it never indexes with them, and asking would wait for the GPU in each step
    beyond, ignored = (
        batch(labels().masked_fill(labels() == 2, value)) for value in (7, 255))
    pair = METHODS['IFVD']()
    assert steps(pair, beyond)[0] == steps(pair, ignored)[0]


@pytest.mark.parametrize('method', [m for m in METHODS if METHODS[m]().kind == LOGITS])
def test_logits_of_other_classes_are_refused(method):
    pair = METHODS[method]()
    x, y = torch.zeros(2, 11, 8, 8), torch.zeros(2, 19, 8, 8)
    with pytest.raises(ShapeError, match=r'11.*19|19.*11'):
        pair(x, y, BATCHES['as usual'].samples)


# ---- memories, resumed --------------------------------------------------------------

BEFORE = dict(num_classes=CLASSES, channels=WIDE, size=8)


@pytest.mark.parametrize(('change', 'theirs', 'ours'), [
    ({'num_classes': 3}, '5 class(es) x 8 keys', '3 class(es) x 8 keys'),
    ({'size': 16}, '5 class(es) x 8 keys', '5 class(es) x 16 keys'),
    ({'channels': 7}, '8 keys x 6 channels', '8 keys x 7 channels')])
def test_a_memory_of_other_sizes_is_not_resumed(change, theirs, ours):
    state = CIRKDPixelMemoryLoss(**BEFORE).state_dict()
    with pytest.raises(CheckpointError) as error:
        CIRKDPixelMemoryLoss(**{**BEFORE, **change}).load_state_dict(state)
    assert theirs in str(error.value)
    assert ours in str(error.value)
