"""CIRKD: cases for the laws, the memories, and what is special to the classes."""

from __future__ import annotations

import copy
from math import exp, log
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.runner.checkpoint import load_state_dict

from mmkd_ext.connectors.build import build_module
from mmkd_ext.errors import CheckpointError, ConfigError, ShapeError
from mmkd_ext.functional import contrast_divergence
from mmkd_ext.methods import (
    CIRKDChannelErrorLoss,
    CIRKDChannelLoss,
    CIRKDChannelMemoryLoss,
    CIRKDHeads,
    CIRKDMiniBatchLoss,
    CIRKDPixelMemoryLoss,
    CIRKDPool,
    CIRKDProjection,
    CIRKDRegionMemoryLoss,
)
from mmkd_ext.methods._memory import KeyMemory, ranks
from mmkd_ext.methods.cirkd import PositionContext
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

CALM = settings(derandomize=True, deadline=None, max_examples=25, database=None)


def sample(labels):
    return SimpleNamespace(gt_sem_seg=SimpleNamespace(data=torch.as_tensor(labels)))


def labelled(labels):
    """Samples of a batch of label maps ``[n][h][w]``."""
    return {'data_samples': [sample(one) for one in torch.as_tensor(labels)[:, None]]}


def samples(*shape, high=3):
    def draw(generator):
        labels = torch.randint(0, high + 1, shape, generator=generator)
        return labelled(labels.masked_fill(labels == high, 255))

    return draw


TURN = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0),
                                   dtype=torch.float64))[0]
FACTOR = {'a positive factor': lambda x: 3 * x}
# By hand, tau 1. A row of two cosines, 1 and 0, is this sure of the first one.
SURE = exp(1) / (exp(1) + 1)
EYE, EVEN = [[[[1.0, 0.0]], [[0.0, 1.0]]]], [[[[2.0, 2.0]], [[2.0, 2.0]]]]
# sure of one of two, from a student that is not, and the other way round
FROM_EVEN = log(2) + SURE * log(SURE) + (1 - SURE) * log(1 - SURE)
TO_EVEN = -log(2) - (log(SURE) + log(1 - SURE)) / 2
ONE_LEVEL = {'pyramids_sum_over_levels':
             'a memory is of one level; a second one raises `ShapeError`'}
RANDOM = {'batch_order_does_not_matter':
          'which pixels are remembered and drawn is random'}
SMALL = {'num_classes': 3, 'channels': 3, 'size': 64, 'samples': 64}
TWO = {'num_classes': 2, 'channels': 2, 'size': 4, 'tau': 1.0}
KNOWN = [KnownValue(EVEN, EYE, FROM_EVEN, 'two keys, the pixels, by hand',
                    labelled([[[0, 1]]])),
         KnownValue(EVEN, EYE, 0.0, 'one key is certain, by hand',
                    labelled([[[0, 255]]]))]

CASES = [
    LossCase(
        CIRKDMiniBatchLoss, {'tau': 1.0, 'pool': 1},
        inputs=pair(2, 3, 2, 3, teacher=(2, 4, 2, 3)), free_axes=[1],
        invariances={**FACTOR, 'a rotation': lambda x: torch.einsum(
            'dc,nchw->ndhw', TURN.to(x), x)},
        values=[KnownValue(EYE, [[[[2.0, 3.0]]]], TO_EVEN, 'by hand')]),
    LossCase(
        CIRKDMiniBatchLoss, {'pool': 2, 'max_memory': 1e-4},
        inputs=pair(2, 3, 4, 5, teacher=(2, 4, 4, 5)), free_axes=[1]),
    LossCase(
        CIRKDChannelLoss, {'tau': 1.0, 'pool': 1}, invariances=FACTOR,
        inputs=pair(2, 3, 2, 4),
        values=[KnownValue(EYE, EVEN, TO_EVEN, 'by hand')]),
    LossCase(CIRKDChannelLoss, {'pool': 2, 'max_memory': 1e-4}),
    LossCase(
        CIRKDChannelErrorLoss, invariances=FACTOR, inputs=pair(2, 2, 3, 4),
        # (0.6, 0.8) against (1, 0) and (0, 1): (0.16 + 0.64 + 0.36 + 0.04) / 4
        values=[KnownValue([[[[3.0, 4.0]], [[0.6, 0.8]]]], EYE, 0.3, 'by hand')]),
    LossCase(
        CIRKDPixelMemoryLoss, {**SMALL, 'new_keys': 64}, extras=samples(2, 8, 10),
        invariances=FACTOR, exempt=ONE_LEVEL),
    LossCase(
        CIRKDPixelMemoryLoss, {**SMALL, 'new_keys': 2, 'samples': 3, 'tau': 1.0},
        extras=samples(2, 8, 10), exempt={**ONE_LEVEL, **RANDOM}, name='few'),
    LossCase(
        CIRKDPixelMemoryLoss, {**SMALL, 'new_keys': 2, 'published_enqueue': True},
        extras=samples(2, 8, 10), exempt={**ONE_LEVEL, **RANDOM}, name='published'),
    LossCase(
        CIRKDPixelMemoryLoss, TWO, inputs=pair(2, 2, 3, 4),
        extras=samples(2, 3, 4, high=2), exempt={**ONE_LEVEL, **RANDOM}, values=KNOWN,
        name='by hand'),
    LossCase(
        CIRKDRegionMemoryLoss, SMALL, extras=samples(2, 8, 10), invariances=FACTOR,
        exempt=ONE_LEVEL),
    LossCase(
        CIRKDRegionMemoryLoss, TWO, inputs=pair(2, 2, 3, 4),
        extras=samples(2, 3, 4, high=2), exempt=ONE_LEVEL, values=KNOWN,
        name='by hand'),
    LossCase(
        CIRKDChannelMemoryLoss, {'map_size': (2, 2), 'size': 16}, invariances=FACTOR,
        exempt=ONE_LEVEL),
    LossCase(
        CIRKDChannelMemoryLoss, {'map_size': (1, 2), 'size': 4, 'tau': 1.0},
        inputs=pair(2, 2, 3, 4), exempt=ONE_LEVEL,
        values=[KnownValue(EVEN, EYE, FROM_EVEN, 'two keys, by hand')]),
]
CLASSES = pytest.mark.parametrize('cls', [CIRKDPixelMemoryLoss, CIRKDRegionMemoryLoss])


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def units(feature):
    """All pixels of a batch, of length 1."""
    return F.normalize(feature.permute(0, 2, 3, 1).flatten(0, 2))


# ---- the memory ---------------------------------------------------------------------


@CALM
@given(st.lists(st.lists(st.integers(0, 2), max_size=9), max_size=6),
       st.integers(1, 5))
def test_a_ring_keeps_the_newest_of_each_class(steps, size):
    memory = KeyMemory(3, size, 1)
    slow, number = [[], [], []], 0
    for classes in steps:
        keys = torch.arange(number, number + len(classes)).float()[:, None]
        memory.put(keys, torch.tensor(classes, dtype=torch.long))
        for one in classes:
            slow[one].append(float(number))
            number += 1
    for ring, filled, wanted in zip(memory.keys, memory.filled, slow):
        newest = wanted[-size:]
        assert filled == len(newest)
        assert sorted(ring[:filled, 0].tolist()) == newest
        assert not ring[filled:].any()


def test_the_oldest_key_goes_first():
    memory = KeyMemory(1, 3, 1)
    for value in range(1, 6):
        memory.put(torch.full((1, 1), float(value)), torch.zeros(1, dtype=torch.long))
    assert memory.keys.flatten().tolist() == [4, 5, 3]
    assert memory.pointer.tolist() == [2]


@CALM
@given(st.lists(st.integers(0, 6), min_size=3, max_size=3), st.integers(1, 8),
       st.integers(0, 100))
def test_only_what_is_filled_is_drawn_and_nothing_twice(filled, count, seed):
    memory = KeyMemory(3, 5, 1)
    classes = torch.tensor([k for k in range(3) for _ in range(filled[k])],
                           dtype=torch.long)
    memory.put(1 + torch.arange(len(classes)).float()[:, None], classes)
    drawn = memory.draw(count, torch.Generator().manual_seed(seed)).flatten().tolist()
    assert len(drawn) == sum(min(f, 5, count) for f in filled)
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(memory.keys.flatten().tolist()) - {0.0}


def test_full_rings_are_read_at_the_same_slots():
    memory = KeyMemory(4, 50, 1)
    slots = torch.arange(50.0).repeat(4)[:, None]
    memory.put(slots, torch.arange(4).repeat_interleave(50))
    drawn = memory.draw(7, torch.Generator()).reshape(4, 7)
    assert all(torch.equal(drawn[0], other) for other in drawn)


def test_every_filled_key_may_be_drawn():
    memory = KeyMemory(1, 10, 1)
    memory.put(torch.arange(6.0)[:, None], torch.zeros(6, dtype=torch.long))
    seen = {memory.draw(1, memory.generators()[1]).item() for _ in range(200)}
    assert seen == set(range(6))


def test_ranks_count_within_groups():
    assert ranks(torch.tensor([2, 0, 2, 2, 0, 7])).tolist() == [0, 0, 1, 2, 1, 0]
    assert ranks(torch.tensor([], dtype=torch.long)).tolist() == []


# ---- what is remembered -------------------------------------------------------------


def test_pixel_keys_are_of_pixels_of_their_class():
    teacher = noise(3, 4, 5, 6)
    labels = torch.randint(0, 3, (3, 5, 6), generator=torch.Generator().manual_seed(1))
    labels[0, 0] = 255
    loss = CIRKDPixelMemoryLoss(3, channels=4, size=50, new_keys=4)
    loss(noise(3, 4, 5, 6, seed=1), teacher, **labelled(labels))
    for k in range(3):
        for image in range(3):
            own = units(teacher[image:image + 1])[(labels[image] == k).flatten()]
            found = loss.memory.keys[k, 4 * image:4 * image + 4]
            # each key is one of the pixels of its class and image, each another
            at = (found @ own.t()).max(1)
            torch.testing.assert_close(at.values, torch.ones(4))
            assert len(set(at.indices.tolist())) == 4
        assert loss.memory.filled[k] == 12


def test_the_published_mistake_takes_keys_from_the_top_whatever_their_class():
    # class 0 above, class 1 in the last two rows; features tell them apart
    labels = torch.zeros(1, 6, 4, dtype=torch.long)
    labels[:, 4:] = 1
    teacher = F.one_hot(labels, 2).permute(0, 3, 1, 2).float()
    kept = {}
    for published in (False, True):
        loss = CIRKDPixelMemoryLoss(
            2, channels=2, size=8, new_keys=8, published_enqueue=published)
        loss(noise(1, 2, 6, 4), teacher, **labelled(labels))
        kept[published] = loss.memory.keys[1].tolist()
    assert kept[False] == [[0.0, 1.0]] * 8
    # the 8 pixels of class 1 are numbers 0 to 7 of it, places 0 to 7 of the map
    assert kept[True] == [[1.0, 0.0]] * 8


def test_the_published_mistake_stays_within_an_image():
    labels = torch.zeros(2, 1, 4, dtype=torch.long)
    labels[:, :, 2:] = 1
    teacher = torch.eye(8).reshape(2, 4, 8).transpose(1, 2).unsqueeze(2)
    loss = CIRKDPixelMemoryLoss(2, channels=8, size=8, published_enqueue=True)
    loss(noise(2, 8, 1, 4), teacher, **labelled(labels))
    for k in (0, 1):
        places = loss.memory.keys[k, :4].argmax(1).tolist()
        assert sorted(places[:2]) == [0, 1]
        assert sorted(places[2:]) == [4, 5]


def test_region_keys_are_normalised_means_of_normalised_pixels():
    teacher, labels = noise(2, 3, 4, 4), torch.full((2, 4, 4), 255)
    labels[0, :2], labels[0, 2], labels[1, 1:] = 0, 2, 2
    loss = CIRKDRegionMemoryLoss(3, channels=3, size=4)
    loss(noise(2, 3, 4, 4, seed=1), teacher, **labelled(labels))
    assert loss.memory.filled.tolist() == [1, 0, 2]
    for k, slot, image in ((0, 0, 0), (2, 0, 0), (2, 1, 1)):
        mean = units(teacher[image:image + 1])[(labels[image] == k).flatten()].mean(0)
        torch.testing.assert_close(loss.memory.keys[k, slot], F.normalize(mean, dim=0))


def test_channel_keys_are_averaged_channels():
    teacher = noise(2, 3, 4, 8)
    loss = CIRKDChannelMemoryLoss((2, 2), size=10, new_keys=4)
    loss(noise(2, 3, 4, 8, seed=1), teacher)
    assert loss.memory.filled.tolist() == [4]
    pooled = F.normalize(F.avg_pool2d(teacher, (2, 4)).flatten(2).flatten(0, 1))
    at = (loss.memory.keys[0, :4] @ pooled.t()).max(1)
    torch.testing.assert_close(at.values, torch.ones(4))
    assert len(set(at.indices.tolist())) == 4


def test_sizes_are_as_published():
    pixel = CIRKDPixelMemoryLoss(19, channels=2)
    assert (pixel.samples, pixel.new_keys, pixel.memory.keys.shape[1]) == (
        216, 16, 20000)
    region = CIRKDRegionMemoryLoss(19, channels=2)
    assert (region.samples, region.memory.keys.shape[1]) == (54, 2000)
    channel = CIRKDChannelMemoryLoss((16, 32))
    assert (channel.samples, channel.new_keys, *channel.memory.keys.shape) == (
        2048, 256, 1, 10000, 512)
    assert {x.tau for x in (pixel, region, channel)} == {0.1}


# ---- the loss of a memory -----------------------------------------------------------


@CLASSES
def test_is_a_mean_over_labelled_pixels_of_both_images(cls):
    student, teacher = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    labels = torch.zeros(2, 4, 5, dtype=torch.long)
    labels[0, 1:] = 255
    loss = cls(2, channels=3, size=30, samples=30)
    found = loss(student, teacher, **labelled(labels))
    keys = loss.memory.keys[0, :loss.memory.filled[0]]
    kept = (labels == 0).flatten()
    rows = [x.permute(0, 2, 3, 1).flatten(0, 2)[kept] for x in (student, teacher)]
    torch.testing.assert_close(found, contrast_divergence(*rows, keys).mean())


@CLASSES
@pytest.mark.parametrize('first', [True, False])
def test_keys_of_this_step_are_drawn_only_if_they_are_put_in_first(cls, first):
    student, teacher = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    truth = labelled(torch.arange(20).reshape(1, 4, 5) % 2)
    loss = cls(2, channels=3, size=30, samples=30, enqueue_first=first)
    values = [loss(student, teacher, **truth).item() for _ in range(2)]
    assert (values[0] > 0) is first
    assert values[1] > 0


def test_before_anything_is_remembered_the_loss_is_zero_but_connected():
    student = noise(1, 3, 4, 5).requires_grad_()
    loss = CIRKDPixelMemoryLoss(2, channels=3, enqueue_first=False, size=5)
    value = loss(student, noise(1, 3, 4, 5, seed=1), **labelled(torch.ones(1, 4, 5)))
    value.backward()
    assert value == 0
    assert student.grad is not None
    assert not student.grad.any()


@CLASSES
@pytest.mark.parametrize('label', [255, -1])
def test_where_all_pixels_are_ignored_the_loss_is_zero_and_nothing_remembered(
        cls, label):
    student = noise(2, 3, 4, 5).requires_grad_()
    loss = cls(2, channels=3, size=5)
    value = loss(student, noise(2, 3, 4, 5, seed=1),
                 **labelled(torch.full((2, 8, 8), label)))
    value.backward()
    assert value == 0
    assert not student.grad.any()
    assert not loss.memory.filled.any()


@CLASSES
def test_an_absent_class_is_not_drawn_and_one_image_is_enough(cls):
    loss = cls(19, channels=3, size=5)
    student = noise(1, 3, 4, 5).requires_grad_()
    truth = labelled(torch.arange(20).reshape(1, 4, 5) % 2 * 7)
    loss(student, noise(1, 3, 4, 5, seed=1), **truth).backward()
    assert loss.memory.filled.nonzero().flatten().tolist() == [0, 7]
    assert student.grad.any()
    assert student.grad.isfinite().all()


@CLASSES
def test_remembers_nothing_in_eval_mode(cls):
    loss = cls(2, channels=3, size=5).eval()
    loss(noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1), **labelled(torch.ones(1, 4, 5)))
    assert not loss.memory.filled.any()
    assert loss.memory.steps == 0


@CLASSES
def test_values_do_not_depend_on_the_memory_limit(cls):
    found = []
    for limit in (1e-6, 1e-3, 256):
        loss = cls(3, channels=3, size=40, max_memory=limit)
        student = noise(2, 3, 4, 5).requires_grad_()
        value = loss(student, noise(2, 3, 4, 5, seed=1),
                     **labelled(torch.arange(40).reshape(2, 4, 5) % 3))
        value.backward()
        found.append(torch.cat([value.detach()[None], student.grad.flatten()]))
    torch.testing.assert_close(found[0], found[2])
    torch.testing.assert_close(found[1], found[2])


def run(loss, steps):
    """Values of some steps, whose input depends on their numbers alone."""
    return [loss(noise(2, 3, 4, 5, seed=2 * i), noise(2, 3, 4, 5, seed=2 * i + 1),
                 **labelled(torch.arange(40).reshape(2, 4, 5) % 3)).item()
            for i in steps]


@CLASSES
@pytest.mark.parametrize('storage', ['float32', 'float16', 'bfloat16'])
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(cls, storage):
    settings = {'channels': 3, 'size': 7, 'samples': 2, 'seed': 5, 'storage': storage}
    whole, first, second = (cls(3, **settings) for _ in range(3))
    wanted = run(whole, range(6))
    found = run(first, range(3))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert found + run(second, range(3, 6)) == wanted
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


@CLASSES
def test_a_memory_of_half_precision_takes_half_and_changes_little(cls):
    settings = {'channels': 3, 'size': 10, 'samples': 10, 'tau': 1.0}
    exact = cls(3, **settings)
    wanted = torch.tensor(run(exact, range(4)))
    # halves of the last digit of numbers up to 1, in logits and so in a divergence
    for storage, error in (('float16', 2 ** -11), ('bfloat16', 2 ** -8)):
        loss = cls(3, storage=storage, **settings)
        found = torch.tensor(run(loss, range(4)))
        assert 2 * loss.memory.keys.nbytes == exact.memory.keys.nbytes
        assert not torch.equal(found, wanted)
        # a sum over 3 channels, in both distributions
        torch.testing.assert_close(found, wanted, rtol=0, atol=6 * error)


@CLASSES
def test_a_memory_that_is_not_saved_begins_anew(cls):
    settings = {'channels': 3, 'size': 7, 'samples': 2, 'saved': False}
    first, second = (cls(3, **settings) for _ in range(2))
    wanted = run(first, range(3))
    state = first.state_dict()
    assert list(state) == ['memory.steps']
    second.load_state_dict(state)
    assert not second.memory.filled.any()
    # the choices of a step are those of its number; of what is remembered only the
    # new ones are left
    fresh = cls(3, **settings)
    assert run(fresh, range(3)) == wanted
    fresh.memory.filled.zero_()
    fresh.memory.pointer.zero_()
    assert run(second, range(3, 5)) == run(fresh, range(3, 5))


@CLASSES
def test_a_run_that_saves_no_memory_reads_checkpoints_that_have_one(cls):
    saving = cls(3, channels=3, size=7)
    run(saving, range(2))
    loss = cls(3, channels=3, size=5, saved=False)
    for load in (torch.nn.Module.load_state_dict, load_state_dict):
        load(loss, saving.state_dict())
        assert loss.memory.steps == 2
        assert not loss.memory.filled.any()


# ---- what is refused ----------------------------------------------------------------


@CLASSES
@pytest.mark.parametrize(('change', 'theirs', 'ours'), [
    ({'num_classes': 21}, r'19 class\(es\) x 8 keys', r'21 class\(es\) x 8 keys'),
    ({'channels': 6}, '8 keys x 4 channels', '8 keys x 6 channels'),
    ({'size': 9}, '8 keys', '9 keys')])
def test_a_memory_of_another_size_is_not_resumed(cls, change, theirs, ours):
    settings = {'num_classes': 19, 'channels': 4, 'size': 8}
    state = cls(**settings).state_dict()
    loss = cls(**{**settings, **change})
    for load in (torch.nn.Module.load_state_dict, load_state_dict):
        with pytest.raises(CheckpointError, match=f'{theirs}.* asks for .*{ours}'):
            load(loss, state)


@CLASSES
def test_labels_above_the_class_count_are_refused(cls):
    loss = cls(2, channels=3, size=5)
    with pytest.raises(ConfigError, match=r'labels reach 4, .*num_classes=2'):
        loss(noise(1, 3, 4, 5), noise(1, 3, 4, 5), **labelled(torch.full((1, 2, 2), 4)))
    # unless that is the label to ignore
    cls(2, channels=3, size=5, ignore_index=4)(
        noise(1, 3, 4, 5), noise(1, 3, 4, 5), **labelled(torch.full((1, 2, 2), 4)))


@CLASSES
def test_other_channels_are_refused_with_the_connector_to_take(cls):
    loss = cls(2, channels=3)
    with pytest.raises(ShapeError, match=r'CIRKDProjection.*in_channels=5, out_.*=3'):
        loss.check_pair(noise(1, 5, 4, 5), noise(1, 3, 4, 5))
    with pytest.raises(ShapeError, match=r'teacher has 7 channels.*channels=3'):
        loss.check_pair(noise(1, 7, 4, 5), noise(1, 7, 4, 5))
    loss.check_pair(noise(1, 3, 4, 5), noise(1, 3, 4, 5))


@pytest.mark.parametrize('loss', [
    CIRKDChannelLoss(), CIRKDChannelErrorLoss(),
    CIRKDChannelMemoryLoss((2, 2), size=4)])
def test_channels_need_as_many_in_the_student(loss):
    with pytest.raises(ShapeError, match='in_channels=5'):
        loss.check_pair(noise(1, 5, 4, 5), noise(1, 3, 4, 5))


@pytest.mark.parametrize(('build', 'message'), [
    (lambda: CIRKDPixelMemoryLoss(0, channels=2), '`num_classes`'),
    (lambda: CIRKDRegionMemoryLoss(0, channels=2), '`num_classes`'),
    (lambda: CIRKDPixelMemoryLoss(2, channels=0), '`channels`'),
    (lambda: CIRKDPixelMemoryLoss(2, channels=2, size=0), '`size`'),
    (lambda: CIRKDPixelMemoryLoss(2, channels=2, samples=0), '`samples`'),
    (lambda: CIRKDPixelMemoryLoss(2, channels=2, new_keys=0), '`new_keys`'),
    (lambda: CIRKDPixelMemoryLoss(2, channels=2, storage='half'), '`storage`'),
    (lambda: CIRKDChannelMemoryLoss((2, 2), storage='int8'), '`storage`'),
    (lambda: CIRKDRegionMemoryLoss(2, channels=2, tau=0), '`tau`'),
    (lambda: CIRKDRegionMemoryLoss(2, channels=2, max_memory=0), '`max_memory`'),
    (lambda: CIRKDMiniBatchLoss(0), '`tau`'),
    (lambda: CIRKDMiniBatchLoss(pool=0), '`pool`'),
    (lambda: CIRKDChannelLoss(max_memory=-1), '`max_memory`'),
    (lambda: CIRKDChannelMemoryLoss((2,)), '`map_size`'),
    (lambda: CIRKDChannelMemoryLoss((2, 0)), '`map_size`'),
    (lambda: CIRKDChannelMemoryLoss((2, 2), new_keys=0), '`new_keys`'),
    (lambda: CIRKDProjection(0, 2), '`in_channels`'),
    (lambda: CIRKDHeads(2, 0), '`out_channels`'),
    (lambda: CIRKDHeads(1, 2), '`channels` must be a number >= 2'),
    (lambda: CIRKDPool(0), '`window`'),
    (lambda: CIRKDProjection(2, 0), '`out_channels`')])
def test_names_the_setting_that_is_wrong(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


@pytest.mark.parametrize('config', [
    {'type': 'CIRKDMiniBatchLoss'},
    {'type': 'CIRKDChannelLoss', 'pool': 2},
    {'type': 'CIRKDPixelMemoryLoss', 'num_classes': 2, 'channels': 3, 'size': 4},
    {'type': 'CIRKDRegionMemoryLoss', 'num_classes': 2, 'channels': 3, 'size': 4},
    {'type': 'CIRKDChannelMemoryLoss', 'map_size': (2, 2), 'size': 4},
    {'type': 'CIRKDChannelErrorLoss'},
    {'type': 'CIRKDHeads', 'in_channels': 2, 'out_channels': 3},
    {'type': 'CIRKDPool', 'window': 2},
    {'type': 'CIRKDProjection', 'in_channels': 2, 'out_channels': 3}],
    ids=lambda config: config['type'])
def test_is_built_from_a_config_that_is_checked(config):
    config = {**config, 'type': f'mmkd_ext.{config["type"]}'}
    build_module(config, 'loss')
    with pytest.raises(ConfigError, match=r'`loss\.chanels`'):
        build_module({**config, 'chanels': 1}, 'loss')


@CLASSES
def test_takes_the_samples_of_the_batch(cls):
    assert cls.arguments() == {'preds_S': True, 'preds_T': True, 'data_samples': True}


# ---- pooling, projection ------------------------------------------------------------


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (4, 6), (1, 7)])
def test_crops_that_do_not_divide_lose_no_pixel(size):
    student = noise(2, 3, *size).requires_grad_()
    CIRKDMiniBatchLoss(pool=2)(student, noise(2, 4, *size, seed=1)).backward()
    if size != (1, 1):
        assert student.grad.abs().sum(1).min() > 0


def test_pools_before_it_compares():
    student, teacher = noise(2, 3, 4, 6), noise(2, 4, 4, 6, seed=1)
    pooled = [F.avg_pool2d(x, 2) for x in (student, teacher)]
    torch.testing.assert_close(CIRKDMiniBatchLoss(pool=2)(student, teacher),
                               CIRKDMiniBatchLoss(pool=1)(*pooled))


def test_by_default_nothing_is_pooled():
    # as the authors train CNNs; SegFormer alone has windows of 2
    assert CIRKDMiniBatchLoss().pool == CIRKDChannelLoss().pool == 1


# ---- the second version -------------------------------------------------------------


def heads(seed=0):
    torch.manual_seed(seed)
    return CIRKDHeads(4, 6, window=2)


def test_channels_are_pooled_before_they_are_projected():
    made, feature = heads(), noise(2, 4, 5, 6)
    refined, _, _, channels = made(feature)
    made.channels.layers[1].reset_running_stats()
    wanted = made.channels(F.avg_pool2d(refined, 2, ceil_mode=True))
    torch.testing.assert_close(channels, wanted)
    assert channels.shape[2:] == CIRKDPool(2)(noise(2, 6, 5, 6)).shape[2:] == (3, 3)
    # the other order is another thing
    other = F.avg_pool2d(made.channels(refined), 2, ceil_mode=True)
    assert not torch.allclose(other, wanted, rtol=0.1)


def test_pixels_and_channels_have_projections_of_their_own():
    made = heads()
    own, other = (set(map(id, x.parameters())) for x in (made.pixels, made.channels))
    assert len(own) == len(other) == 4
    assert not own & other


def test_all_terms_compare_the_refined_feature():
    made, feature = heads(), noise(2, 4, 5, 6)
    for i, width in enumerate((4, 6, 6, 6)):
        made.zero_grad()
        found = made(feature)[i]
        assert found.shape[1] == width
        found.square().sum().backward()
        assert all(p.grad.any() for p in made.context.parameters())


def test_the_regressor_of_the_second_version_is_a_bare_convolution():
    made, feature = heads(), noise(2, 4, 5, 6)
    refined, regressed, *_ = made(feature)
    kernel = made.regressor.weight[:, :, 0, 0]
    assert made.regressor.bias is None
    torch.testing.assert_close(
        regressed, torch.einsum('dc,nchw->ndhw', kernel, refined))


def test_the_context_of_a_position_is_what_it_attends_to():
    # slowly, from the equation, a position at a time
    torch.manual_seed(0)
    context, feature = PositionContext(4).double().eval(), noise(1, 4, 2, 3).double()
    pixels = feature[0].flatten(1).t()
    query, key, value = (pixels @ layer.weight[:, :, 0, 0].t() for layer in (
        context.query, context.key, context.value))
    seen = []
    for i in range(6):
        edges = torch.stack([query[i] @ key[j] / 2 ** 0.5 for j in range(6)])
        weights = edges.exp() / edges.exp().sum()
        seen.append(sum(weights[j] * value[j] for j in range(6)))
    seen = context.gather(torch.stack(seen).t().reshape(1, 2, 2, 3))
    wanted = context.join(torch.cat([feature, seen], 1))
    torch.testing.assert_close(context(feature), wanted)
    assert (context(feature) >= 0).all()
    assert not any('conv.bias' in n or '0.bias' in n
                   for n, _ in context.named_parameters())


def test_heads_name_the_channels_they_were_made_for():
    with pytest.raises(ShapeError, match=r'takes \(n 4 h w\), but got \(2, 3, 4, 4\)'):
        heads()(noise(2, 3, 4, 4))


def test_channel_errors_do_not_see_how_strong_a_channel_is():
    student, teacher = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    cosines = F.cosine_similarity(student.flatten(2), teacher.flatten(2), dim=2)
    torch.testing.assert_close(CIRKDChannelErrorLoss()(student, teacher),
                               (2 - 2 * cosines).mean() / 20)


def test_the_projection_has_two_bare_convolutions():
    projection = CIRKDProjection(3, 5)
    assert projection(noise(2, 3, 4, 4)).shape == (2, 5, 4, 4)
    names = sorted(name for name, _ in projection.named_parameters())
    assert names == [
        'layers.0.weight', 'layers.1.bias', 'layers.1.weight', 'layers.3.weight']
    with pytest.raises(ShapeError, match=r'takes \(n 3 h w\), but got \(2, 4, 4, 4\)'):
        projection(noise(2, 4, 4, 4))


def test_a_student_learns_the_relations_of_the_teacher():
    torch.manual_seed(0)
    feature, teacher = noise(2, 6, 6, 6), noise(2, 4, 6, 6, seed=1)
    student = torch.nn.Parameter(feature)
    projection = CIRKDProjection(6, 4)
    losses = [CIRKDPixelMemoryLoss(3, channels=4, size=100),
              CIRKDRegionMemoryLoss(3, channels=4, size=20)]
    truth = labelled(torch.arange(72).reshape(2, 6, 6) % 3)
    optimizer = torch.optim.Adam([student, *projection.parameters()], 0.02)
    values = []
    for _ in range(60):
        projected = projection(student)
        value = sum(loss(projected, teacher, **truth) for loss in losses)
        value += CIRKDMiniBatchLoss()(student, teacher)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0] / 2
