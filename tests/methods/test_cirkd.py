"""CIRKD: cases for the laws, the memories, the relations, the slow twins."""

from __future__ import annotations

import copy
from functools import partial
from math import exp, log, sqrt

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from mmengine.runner.checkpoint import load_state_dict
from slow_parts import CALM, dot, doubles, labelled, noise, random_labels, softened

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import (
    CIRKDChannelErrorLoss,
    CIRKDChannelLoss,
    CIRKDChannelMemoryLoss,
    CIRKDHeads,
    CIRKDMiniBatchLoss,
    CIRKDPixelMemoryLoss,
    CIRKDPool,
    CIRKDRegionMemoryLoss,
)
from mmkd_ext.methods._memory import KeyMemory
from mmkd_ext.methods.cirkd import (
    PositionContext,
    channel_relation_divergence,
    contrast_divergence,
    pixel_relation_divergence,
)
from mmkd_ext.testing.laws import KnownValue, LossCase, pair


def samples(*shape, high=3):
    return lambda generator: labelled(
        random_labels(*shape, high=high, generator=generator))


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
        inputs=pair(2, 3, 2, 4), values=[KnownValue(EYE, EVEN, TO_EVEN, 'by hand')]),
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


def units(feature):
    """All pixels of a batch, of length 1."""
    return F.normalize(feature.permute(0, 2, 3, 1).flatten(0, 2))


# ---- the memory ---------------------------------------------------------------------


@CALM
@given(st.lists(st.lists(st.integers(0, 2), max_size=9), max_size=6), st.integers(1, 5))
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


def run(loss, steps):
    """Values of some steps, whose input depends on their numbers alone."""
    return [loss(noise(2, 3, 4, 5, seed=2 * i), noise(2, 3, 4, 5, seed=2 * i + 1),
                 **labelled(torch.arange(40).reshape(2, 4, 5) % 3)).item()
            for i in steps]


@CLASSES
@pytest.mark.parametrize('storage', ['float32', 'bfloat16'])
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(cls, storage):
    settings = {'channels': 3, 'size': 7, 'samples': 2, 'seed': 5, 'storage': storage}
    whole, first, second = (cls(3, **settings) for _ in range(3))
    wanted = run(whole, range(6))
    found = run(first, range(3))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert found + run(second, range(3, 6)) == wanted
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


@pytest.mark.parametrize(
    # of the last digit of numbers up to 1, in logits and so in a divergence
    ('storage', 'half'), [('float16', 2**-11), ('bfloat16', 2**-8)])
def test_a_memory_of_half_precision_takes_half_and_changes_little(storage, half):
    settings = {'channels': 3, 'size': 10, 'samples': 10, 'tau': 1.0}
    exact, loss = (CIRKDPixelMemoryLoss(3, storage=kind, **settings)
                   for kind in ('float32', storage))
    wanted, found = (torch.tensor(run(one, range(4))) for one in (exact, loss))
    assert 2 * loss.memory.keys.nbytes == exact.memory.keys.nbytes
    assert not torch.equal(found, wanted)
    # a sum over 3 channels, in both distributions
    torch.testing.assert_close(found, wanted, rtol=0, atol=6 * half)


@CLASSES
def test_a_memory_that_is_not_saved_begins_anew(cls):
    settings = {'channels': 3, 'size': 7, 'samples': 2, 'saved': False}
    first, second = (cls(3, **settings) for _ in range(2))
    run(first, range(3))
    state = first.state_dict()
    assert list(state) == ['memory.steps']
    second.load_state_dict(state)
    assert not second.memory.filled.any()
    # the choices of a step are those of its number
    first.memory.filled.zero_()
    first.memory.pointer.zero_()
    assert run(second, range(3, 5)) == run(first, range(3, 5))


@CLASSES
def test_a_run_that_saves_no_memory_reads_checkpoints_that_have_one(cls):
    saving = cls(3, channels=3, size=7)
    run(saving, range(2))
    loss = cls(3, channels=3, size=5, saved=False)
    for load in (torch.nn.Module.load_state_dict, load_state_dict):
        load(loss, saving.state_dict())
        assert loss.memory.steps == 2
        assert not loss.memory.filled.any()


@CLASSES
def test_other_channels_are_refused_with_the_connector_to_take(cls):
    loss = cls(2, channels=3)
    with pytest.raises(ShapeError, match=r'CIRKDProjection.*in_channels=5, out_.*=3'):
        loss.check_pair(noise(1, 5, 4, 5), noise(1, 3, 4, 5))
    with pytest.raises(ShapeError, match=r'teacher has 7 channels.*channels=3'):
        loss.check_pair(noise(1, 7, 4, 5), noise(1, 7, 4, 5))
    loss.check_pair(noise(1, 3, 4, 5), noise(1, 3, 4, 5))


@pytest.mark.parametrize(('build', 'wrong'), [
    *((partial(CIRKDPixelMemoryLoss, num_classes=2, channels=2), one) for one in (
        {'num_classes': 0}, {'channels': 0}, {'size': 0}, {'samples': 0},
        {'new_keys': 0}, {'storage': 'half'})),
    *((partial(CIRKDChannelMemoryLoss, map_size=(2, 2)), one) for one in (
        {'map_size': (2,)}, {'map_size': (2, 0)}, {'new_keys': 0})),
    (CIRKDMiniBatchLoss, {'pool': 0}), (CIRKDPool, {'window': 0}),
    *((partial(CIRKDHeads, in_channels=2, out_channels=2), one) for one in (
        {'in_channels': 0}, {'out_channels': 0}))])
def test_names_the_setting_that_is_wrong(build, wrong):
    with pytest.raises(ConfigError, match=f'`{next(iter(wrong))}`'):
        build(**wrong)


def test_a_context_needs_two_channels():
    with pytest.raises(ConfigError, match='`channels`'):
        PositionContext(1)


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


def each_its_own(value):
    return torch.linspace(-1, 2, value.numel(), dtype=value.dtype)


# rows of a chunk, some that do not divide the rows or all, and weights of the items
ROWS = pytest.mark.parametrize(('rows', 'weights'), [
    (4, None), (4, each_its_own), (10**6, each_its_own)])


def memory_for(rows, keys, itemsize=8):
    """Memory in MB that holds so many rows of so many keys."""
    return (rows + 0.5) * 3 * keys * itemsize / 2**20


def dense(student, teacher, tau, axis):
    """The same with whole matrices, a pair of images after the other."""
    total = 0
    sides = [F.normalize(x.flatten(2), dim=axis) for x in (student, teacher)]
    if axis == 1:
        sides = [x.transpose(1, 2) for x in sides]
    for j in range(student.shape[0]):
        log_q, log_p = ((x @ x[j].t() / tau).log_softmax(-1) for x in sides)
        total = total + (log_p.exp() * (log_p - log_q)).sum(-1)
    found = total / student.shape[0]
    return found.reshape(-1, *student.shape[2:]) if axis == 1 else found


def with_gradients(function, *sides, weights=None):
    sides = [side.clone().requires_grad_() for side in sides]
    value = function(*sides)
    if weights is None:
        value.sum().backward()
    else:
        (value.flatten() * weights(value)).sum().backward()
    return [value.detach(), *(side.grad for side in sides)]


# ---- the dense form -----------------------------------------------------------------


@ROWS
def test_pixel_relations_equal_the_dense_form_with_its_gradients(rows, weights):
    student, teacher = doubles(3, 4, 2, 5), doubles(3, 6, 2, 5, seed=1)
    found = with_gradients(lambda s, t: pixel_relation_divergence(
        s, t, max_memory=memory_for(rows, 10)), student, teacher,
        weights=weights)
    wanted = with_gradients(
        lambda s, t: dense(s, t, 0.1, 1), student, teacher, weights=weights)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@ROWS
def test_channel_relations_equal_the_dense_form_with_its_gradients(rows, weights):
    student, teacher = doubles(3, 4, 2, 5), doubles(3, 4, 3, 2, seed=1)
    found = with_gradients(lambda s, t: channel_relation_divergence(
        s, t, max_memory=memory_for(rows, 4)), student, teacher, weights=weights)
    wanted = with_gradients(
        lambda s, t: dense(s, t, 0.1, 2), student, teacher, weights=weights)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@ROWS
def test_contrasts_equal_the_dense_form_with_its_gradients(rows, weights):
    student, teacher, keys = doubles(9, 4), doubles(9, 4, seed=1), doubles(7, 4, seed=2)

    def plain(s, t):
        log_q, log_p = ((F.normalize(x) @ keys.t() / 0.1).log_softmax(1)
                        for x in (s, t))
        return (log_p.exp() * (log_p - log_q)).sum(1)

    found = with_gradients(
        lambda s, t: contrast_divergence(s, t, keys, max_memory=memory_for(rows, 7)),
        student, teacher, weights=weights)
    torch.testing.assert_close(
        found, with_gradients(plain, student, teacher, weights=weights),
        rtol=1e-9, atol=1e-11)


# ---- the bound ----------------------------------------------------------------------


class Watch(torch.overrides.TorchFunctionMode):
    """Notes how many rows of relations are made at once."""

    rows = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if getattr(func, '__name__', '') == 'log_softmax':
            self.rows = max(self.rows, len(out))
        return out


@pytest.mark.parametrize('rows', [1, 6, 60])
def test_holds_as_many_rows_as_the_memory_is_for(rows):
    student, teacher = (doubles(2, 3, 6, 10, seed=s) for s in (0, 1))
    with Watch() as watch:
        with_gradients(lambda s, t: pixel_relation_divergence(
            s, t, max_memory=memory_for(rows, 60)), student, teacher,
            weights=each_its_own)
    assert watch.rows == rows


@pytest.mark.parametrize('divergence', [
    pixel_relation_divergence, channel_relation_divergence,
    lambda s, t: contrast_divergence(s[0, :, 0], t[0, :, 0], doubles(4, 3, seed=5))])
def test_gradients_are_right_also_of_the_teacher(divergence):
    sides = [doubles(2, 2, 2, 3, seed=s).requires_grad_() for s in (0, 1)]
    assert torch.autograd.gradcheck(divergence, sides)


# ---- closed forms and properties ----------------------------------------------------


@pytest.mark.parametrize(('count', 'tau'), [(1, 0.1), (3, 1.0)])
def test_orthogonal_students_of_an_even_teacher(count, tau):
    # by hand: each row is e^(1/tau) once and 1 otherwise, the teacher's is even
    student = torch.eye(6).reshape(1, 6, 2, 3).repeat(count, 1, 1, 1)
    total = exp(1 / tau) + 5
    wanted = -log(6) - (log(exp(1 / tau) / total) + 5 * log(1 / total)) / 6
    found = pixel_relation_divergence(student, torch.ones(count, 2, 2, 3), tau=tau)
    torch.testing.assert_close(found, torch.full((count, 2, 3), wanted))


def test_no_rows_and_no_keys_stay_in_the_graph():
    for rows, keys in ((0, 4), (4, 0), (0, 0)):
        student = doubles(rows, 3).requires_grad_()
        found = contrast_divergence(student, doubles(rows, 3), doubles(keys, 3))
        assert found.shape == (rows,)
        found.sum().backward()
        assert not student.grad.any()


# ---- the slow twin, in plain loops from the equation --------------------------------


def pixels(image):
    """Returns the feature of each position of an image, row by row."""
    height, width = len(image[0]), len(image[0][0])
    return [[channel[y][x] for channel in image]
            for y in range(height) for x in range(width)]


def channels(image):
    """Returns each channel of an image as one vector."""
    return [[value for row in channel for value in row] for channel in image]


def unit(a):
    length = sqrt(dot(a, a))
    return [x / length if length else 0.0 for x in a]


def row_divergence(own_s, others_s, own_t, others_t, tau):
    """KL(T||S) of one feature's relations to others, which are taken as they are."""
    q = softened([dot(unit(own_s), other) / tau for other in others_s])
    p = softened([dot(unit(own_t), other) / tau for other in others_t])
    return sum(a * log(a / b) for a, b in zip(p, q))


def relation_divergence(student, teacher, tau, parts):
    """For each image and part (pixel or channel) the mean over all images: ``[n][m]``.

    ``parts`` cuts an image into what is compared.
    """
    s, t = ([parts(image) for image in side] for side in (student, teacher))
    found = []
    for i in range(len(s)):
        row = []
        for a in range(len(s[i])):
            total = 0.0
            for j in range(len(s)):
                total += row_divergence(
                    s[i][a], [unit(other) for other in s[j]],
                    t[i][a], [unit(other) for other in t[j]], tau)
            row.append(total / len(s))
        found.append(row)
    return found


def slow_pixel_relation_divergence(student, teacher, tau):
    """CIRKD, mini-batch pixel relations: ``[n][hw]``."""
    return relation_divergence(student, teacher, tau, pixels)


def slow_channel_relation_divergence(student, teacher, tau):
    """CIRKD's second version, channel relations: ``[n][c]``."""
    return relation_divergence(student, teacher, tau, channels)


def slow_contrast_divergence(student, teacher, keys, tau):
    """For each feature its divergence over the keys: ``[m]``."""
    if not keys:
        return [0.0 for _ in student]
    return [row_divergence(s, keys, t, keys, tau) for s, t in zip(student, teacher)]


# memory for a row at a time, and for all of them
@pytest.mark.parametrize(('shape', 'max_memory', 'tau'), [
    ((1, 1, 1, 1), 256, 0.1), ((2, 3, 2, 5), 1e-9, 0.1), ((3, 2, 1, 4), 256, 3.0)])
def test_relations_equal_their_twins(shape, max_memory, tau):
    n, c, h, w = shape
    settings = {'tau': tau, 'max_memory': max_memory}
    for fast, slow, size in (
            (pixel_relation_divergence, slow_pixel_relation_divergence,
             (n, c + 2, h, w)),
            (channel_relation_divergence, slow_channel_relation_divergence,
             (n, c, h + 1, w + 2))):
        student, teacher = doubles(*shape), doubles(*size, seed=1)
        student[0, :, 0, 0] = 0
        wanted = slow(student.tolist(), teacher.tolist(), tau)
        torch.testing.assert_close(
            fast(student, teacher, **settings).flatten(1),
            torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(('count', 'max_memory'), [(0, 256), (1, 256), (5, 1e-9)])
def test_contrasts_equal_their_twin(count, max_memory):
    student, teacher = doubles(6, 3), doubles(6, 3, seed=1)
    keys = doubles(count, 3, seed=2)
    wanted = slow_contrast_divergence(
        student.tolist(), teacher.tolist(), keys.tolist(), 0.1)
    torch.testing.assert_close(
        contrast_divergence(student, teacher, keys, max_memory=max_memory),
        torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-10)
