"""Every method for segmentation on batches that are strange: a number, or a clear word.

Each method is its connectors and its loss, on features or logits of a tiny pair, as a
link would give them; two steps, so that memories have something to remember.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from slow_parts import labelled
from torch import nn

from mmkd_ext import methods as m
from mmkd_ext.connectors import ConvAdapter
from mmkd_ext.errors import CheckpointError, ConfigError, ShapeError

CLASSES, WIDTH, WIDE = 5, 4, 6
LOGITS, FEATURE, PYRAMID = 'logits', 'feature', 'pyramid'


class Pair(nn.Module):
    """A link without a distiller: connectors, the teacher's size, the loss."""

    def __init__(self, kind, loss, connector=None, encoder=None):
        super().__init__()
        self.loss, self.kind = loss, kind
        self.connector = connector or nn.Identity()
        self.encoder = encoder or nn.Identity()

    def forward(self, student, teacher, truth):
        student, teacher = self.connector(student), self.encoder(teacher)
        if self.kind != PYRAMID and 'size' in self.loss.alignable:
            student = F.interpolate(student, teacher.shape[2:], mode='bilinear')
        takes = 'data_samples' in self.loss.arguments()
        return self.loss(student, teacher, **(truth if takes else {}))


class Reconstruction(Pair):
    """KA's first stage, whose both sides are one feature; it is learned itself."""

    def forward(self, student, teacher, truth):
        return self.loss(teacher, teacher) + 0 * student.sum()


def adapted():
    return ConvAdapter(WIDTH, WIDE)


def projected():
    return m.CIRKDProjection(WIDTH, WIDE)


def ka(loss):
    adapter = ConvAdapter(WIDTH, 5, kernel_size=3, norm=True, act=True)
    encoder = m.KAEncoder(WIDE, widths=(5,), strides=(2,), checkpoint=None)
    return Pair(FEATURE, loss, adapter, encoder)


MEMORY = dict(size=8, samples=4)
METHODS = {
    'KD': lambda: Pair(LOGITS, m.KDLoss(tau=2.0)),
    'CWD logits': lambda: Pair(LOGITS, m.CWDLoss(tau=4.0)),
    'CWD features': lambda: Pair(FEATURE, m.CWDLoss(), adapted()),
    'DIST': lambda: Pair(LOGITS, m.DISTLoss()),
    'DKD': lambda: Pair(LOGITS, m.DKDPixelLoss(beta=0.5)),
    'SKDS pair-wise': lambda: Pair(FEATURE, m.SKDSPairwiseLoss()),
    'SKDS pair-wise, many regions': lambda: Pair(FEATURE, m.SKDSPairwiseLoss(0.1)),
    'IFVD': lambda: Pair(FEATURE, m.IFVDLoss(CLASSES)),
    'CIRKD mini-batch': lambda: Pair(FEATURE, m.CIRKDMiniBatchLoss()),
    'CIRKD pixel memory': lambda: Pair(
        FEATURE, m.CIRKDPixelMemoryLoss(CLASSES, WIDE, **MEMORY), projected()),
    'CIRKD region memory': lambda: Pair(
        FEATURE, m.CIRKDRegionMemoryLoss(CLASSES, WIDE, **MEMORY), projected()),
    'CIRKD channels': lambda: Pair(FEATURE, m.CIRKDChannelLoss(pool=2), projected()),
    'CIRKD channel memory': lambda: Pair(
        FEATURE, m.CIRKDChannelMemoryLoss((2, 3), new_keys=4, **MEMORY), projected()),
    'KA adapt': lambda: ka(m.KAAdaptLoss()),
    'KA adapt, other norms': lambda: ka(m.KAAdaptLoss(p=2.0, q=1.0)),
    'KA affinity': lambda: ka(m.KAAffinityLoss()),
    'KA reconstruction': lambda: Reconstruction(
        FEATURE, m.KAReconstructionLoss(WIDE, widths=(5, 3), strides=(2, 2))),
    'MGD': lambda: Pair(
        FEATURE, m.MGDLoss(), m.MGDConnector(WIDE, 0.75, in_channels=WIDTH, seed=0)),
    'AT': lambda: Pair(FEATURE, m.ATLoss()),
    'FitNets': lambda: Pair(FEATURE, m.FitNetsLoss(), adapted()),
    'ReviewKD': lambda: Pair(
        PYRAMID, m.ReviewKDLoss(), m.ReviewKDFusion(2, WIDE, 3, in_channels=WIDTH))}
WITH_LABELS = ['DKD', 'IFVD', 'CIRKD pixel memory', 'CIRKD region memory']


@dataclass
class Batch:
    """What a link may get: labels at the size of the picture, maps at their strides."""

    labels: torch.Tensor
    stride: int = 4
    teacher_stride: int = 4
    flat: float | None = None

    def sides(self, kind, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def draw(channels, stride):
            size = [-(-side // stride) for side in self.labels.shape[1:]]
            x = torch.randn(len(self.labels), channels, *size, generator=generator)
            return x if self.flat is None else torch.full_like(x, self.flat)

        if kind == PYRAMID:
            # the levels of a pyramid are as large on both sides
            return tuple([draw(channels, self.stride), draw(channels, 2 * self.stride)]
                         for channels in (WIDTH, WIDE))
        channels = (CLASSES, CLASSES) if kind == LOGITS else (WIDTH, WIDE)
        return draw(channels[0], self.stride), draw(channels[1], self.teacher_stride)


def labels(batch=2, height=32, width=32):
    drawn = torch.Generator().manual_seed(7)
    return torch.randint(0, CLASSES, (batch, height, width), generator=drawn)


def with_one(label, elsewhere):
    """Labels of which the first pixel is another."""
    return elsewhere.index_put((torch.tensor([0]),) * 3, torch.tensor(label))


IGNORED = torch.full((2, 32, 32), 255)
BATCHES = {
    'as usual': Batch(labels()),
    'all pixels ignored': Batch(IGNORED),
    'one of two images ignored': Batch(torch.stack([labels()[0], IGNORED[0]])),
    'one pixel that counts': Batch(with_one(3, IGNORED)),
    'a class absent': Batch(labels().where(labels() != 2, 1)),
    'one class alone': Batch(torch.full((2, 32, 32), 4)),
    'one image': Batch(labels(1)),
    'one image, ignored': Batch(IGNORED[:1]),
    'a crop that does not divide': Batch(labels(2, 33, 47)),
    'wide': Batch(labels(2, 16, 64)),
    'a teacher of a finer stride': Batch(labels(), 8, 4),
    'a teacher of a coarser stride': Batch(labels(2, 33, 47), 4, 8),
    'features of 0': Batch(labels(), flat=0.0),
    'features that do not vary': Batch(labels(), flat=1.5)}


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


def steps(pair, case, count=2):
    """Trains on the batch; returns the losses and the gradient on the student."""
    found = []
    for seed in range(count):
        student, teacher = case.sides(pair.kind, seed)
        leaves = student if pair.kind == PYRAMID else [student]
        for x in leaves:
            x.requires_grad_()
        loss = pair(student, teacher, labelled(case.labels))
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
    assert pair(student, teacher, labelled(labels())).isnan()


@pytest.mark.parametrize('method', ['CIRKD pixel memory', 'CIRKD region memory', 'DKD'])
def test_labels_beyond_the_classes_are_refused_with_both_numbers(method):
    with pytest.raises(ConfigError, match=f'labels reach {CLASSES}'):
        steps(METHODS[method](), Batch(with_one(CLASSES, labels()), 1, 1))


def test_ifvd_takes_labels_beyond_the_classes_for_ignored_ones():
    # it never indexes with them, and asking would wait for the GPU in each step
    beyond, ignored = (
        Batch(labels().masked_fill(labels() == 2, value)) for value in (7, 255))
    pair = METHODS['IFVD']()
    assert steps(pair, beyond)[0] == steps(pair, ignored)[0]


@pytest.mark.parametrize(
    'method', [k for k, v in METHODS.items() if v().kind == LOGITS])
def test_logits_of_other_classes_are_refused(method):
    x, y = torch.zeros(2, 11, 8, 8), torch.zeros(2, 19, 8, 8)
    with pytest.raises(ShapeError, match=r'11.*19|19.*11'):
        METHODS[method]()(x, y, labelled(labels()))


# ---- memories, resumed --------------------------------------------------------------

BEFORE = dict(num_classes=CLASSES, channels=WIDE, size=8)


@pytest.mark.parametrize('change', [{'num_classes': 3}, {'size': 16}, {'channels': 7}])
def test_a_memory_of_other_sizes_is_not_resumed(change):
    state = m.CIRKDPixelMemoryLoss(**BEFORE).state_dict()
    with pytest.raises(CheckpointError) as error:
        m.CIRKDPixelMemoryLoss(**{**BEFORE, **change}).load_state_dict(state)
    for sizes in (BEFORE, {**BEFORE, **change}):
        assert '{num_classes} class(es) x {size} keys x {channels} channels'.format(
            **sizes) in str(error.value)
