"""What relations across images promise: dense forms, bounds, gradients, oracles."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import cirkd as relations
from mmkd_ext.methods.cirkd import (
    channel_relation_divergence,
    contrast_divergence,
    pixel_relation_divergence,
)

CALM = settings(derandomize=True, deadline=None, max_examples=25, database=None)
SEEDS = st.integers(0, 2**31)
BOTH = pytest.mark.parametrize(
    'divergence', [pixel_relation_divergence, channel_relation_divergence])
# rows of a chunk: one, some that do not divide the rows, all
ROWS = pytest.mark.parametrize('rows', [1, 4, 10**6])


def noise(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


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


def each_its_own(value):
    return torch.linspace(-1, 2, value.numel(), dtype=value.dtype)


# ---- the dense form -----------------------------------------------------------------


@ROWS
@pytest.mark.parametrize('weights', [None, each_its_own])
@pytest.mark.parametrize('tau', [0.1, 1.0])
def test_pixel_relations_equal_the_dense_form_with_its_gradients(tau, weights, rows):
    student, teacher = noise(3, 4, 2, 5), noise(3, 6, 2, 5, seed=1)
    found = with_gradients(lambda s, t: pixel_relation_divergence(
        s, t, tau=tau, max_memory=memory_for(rows, 10)), student, teacher,
        weights=weights)
    wanted = with_gradients(
        lambda s, t: dense(s, t, tau, 1), student, teacher, weights=weights)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@ROWS
@pytest.mark.parametrize('weights', [None, each_its_own])
def test_channel_relations_equal_the_dense_form_with_its_gradients(weights, rows):
    student, teacher = noise(3, 4, 2, 5), noise(3, 4, 3, 2, seed=1)
    found = with_gradients(lambda s, t: channel_relation_divergence(
        s, t, max_memory=memory_for(rows, 4)), student, teacher, weights=weights)
    wanted = with_gradients(
        lambda s, t: dense(s, t, 0.1, 2), student, teacher, weights=weights)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@ROWS
@pytest.mark.parametrize('weights', [None, each_its_own])
def test_contrasts_equal_the_dense_form_with_its_gradients(weights, rows):
    student, teacher, keys = noise(9, 4), noise(9, 4, seed=1), noise(7, 4, seed=2)

    def plain(s, t):
        log_q, log_p = ((F.normalize(x) @ keys.t() / 0.1).log_softmax(1)
                        for x in (s, t))
        return (log_p.exp() * (log_p - log_q)).sum(1)

    found = with_gradients(
        lambda s, t: contrast_divergence(
            s, t, keys, max_memory=memory_for(rows, 7)), student, teacher,
        weights=weights)
    torch.testing.assert_close(
        found, with_gradients(plain, student, teacher, weights=weights),
        rtol=1e-9, atol=1e-11)


@BOTH
def test_float32_equals_the_dense_form_in_float64_to_a_hundred_thousandth(divergence):
    student = noise(2, 8, 6, 10)
    teacher = student + 0.3 * noise(2, 8, 6, 10, seed=1)
    axis = 1 if divergence is pixel_relation_divergence else 2
    found = with_gradients(divergence, student.float(), teacher.float())
    wanted = with_gradients(lambda s, t: dense(s, t, 0.1, axis),
                            student.float().double(), teacher.float().double())
    for one, other in zip(found, wanted):
        assert one.dtype == torch.float32
        assert (one - other).norm() <= 1e-5 * other.norm()


# ---- the bound ----------------------------------------------------------------------


class Watch(torch.overrides.TorchFunctionMode):
    """Notes how many rows of relations are made at once."""

    rows = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if getattr(func, '__name__', '') == 'log_softmax':
            self.rows = max(self.rows, len(out))
        return out


@pytest.mark.parametrize('weights', [None, each_its_own])
@pytest.mark.parametrize('rows', [1, 6, 60])
def test_holds_as_many_rows_as_the_memory_is_for(rows, weights):
    student, teacher = (noise(2, 3, 6, 10, seed=s) for s in (0, 1))
    with Watch() as watch:
        with_gradients(lambda s, t: pixel_relation_divergence(
            s, t, max_memory=memory_for(rows, 60)), student, teacher, weights=weights)
    assert watch.rows == rows


def counted_passes(monkeypatch):
    passes = []
    walk = relations._walk

    def counted(*arguments):
        passes.append(1)
        return walk(*arguments)

    monkeypatch.setattr(relations, '_walk', counted)
    return passes


@BOTH
def test_a_sum_takes_one_pass_and_other_weights_a_second(divergence, monkeypatch):
    passes = counted_passes(monkeypatch)
    student, teacher = (noise(2, 3, 2, 3, seed=s) for s in (0, 1))
    with_gradients(divergence, student, teacher)
    assert len(passes) == 1
    passes.clear()
    with_gradients(divergence, student, teacher, weights=each_its_own)
    assert len(passes) == 2


def test_keys_that_are_constant_need_no_second_pass(monkeypatch):
    passes = counted_passes(monkeypatch)
    with_gradients(lambda s, t: contrast_divergence(s, t, noise(5, 3, seed=2)),
                   noise(4, 3), noise(4, 3, seed=1), weights=each_its_own)
    assert len(passes) == 1


def test_no_gradient_is_made_where_none_is_wanted():
    student, teacher = noise(2, 3, 2, 3), noise(2, 3, 2, 3, seed=1)
    assert not pixel_relation_divergence(student, teacher).requires_grad
    learner = student.clone().requires_grad_()
    pixel_relation_divergence(learner, teacher).sum().backward()
    assert learner.grad.any()
    assert teacher.grad is None


@pytest.mark.parametrize('divergence', [
    pixel_relation_divergence, channel_relation_divergence,
    lambda s, t: contrast_divergence(s[0, :, 0], t[0, :, 0], noise(4, 3, seed=5))])
@pytest.mark.parametrize('reduce', [torch.sum, lambda x: x])
def test_gradients_are_right_also_of_the_teacher(divergence, reduce):
    sides = [noise(2, 2, 2, 3, seed=s).requires_grad_() for s in (0, 1)]
    assert torch.autograd.gradcheck(lambda s, t: reduce(divergence(s, t)), sides)


# ---- closed forms and properties ----------------------------------------------------


@pytest.mark.parametrize('tau', [0.1, 1.0])
@pytest.mark.parametrize('count', [1, 3])
def test_orthogonal_students_of_an_even_teacher(count, tau):
    # by hand: each row is e^(1/tau) once and 1 otherwise, the teacher's is even
    student = torch.eye(6).reshape(1, 6, 2, 3).repeat(count, 1, 1, 1)
    total = exp(1 / tau) + 5
    wanted = -log(6) - (log(exp(1 / tau) / total) + 5 * log(1 / total)) / 6
    found = pixel_relation_divergence(student, torch.ones(count, 2, 2, 3), tau=tau)
    torch.testing.assert_close(found, torch.full((count, 2, 3), wanted))


def test_one_pixel_has_only_itself():
    student, teacher = noise(1, 3, 1, 1), noise(1, 4, 1, 1)
    assert not pixel_relation_divergence(student, teacher).any()


def test_one_image_has_relations_to_itself():
    student, teacher = noise(1, 3, 2, 2), noise(1, 4, 2, 2)
    assert (pixel_relation_divergence(student, teacher) > 0).all()


def test_no_rows_and_no_keys_stay_in_the_graph():
    for rows, keys in ((0, 4), (4, 0), (0, 0)):
        student = noise(rows, 3).requires_grad_()
        found = contrast_divergence(student, noise(rows, 3), noise(keys, 3))
        assert found.shape == (rows,)
        found.sum().backward()
        assert not student.grad.any()


@CALM
@given(SEEDS, st.floats(0.05, 2))
def test_is_zero_at_equality_and_otherwise_positive(seed, tau):
    student, teacher = noise(2, 3, 2, 3, seed=seed), noise(2, 3, 2, 3, seed=seed + 1)
    for function in (pixel_relation_divergence, channel_relation_divergence):
        assert (function(student, teacher, tau=tau) > -1e-12).all()
        assert not function(teacher, teacher, tau=tau).any()


@CALM
@given(SEEDS, st.floats(0.1, 10))
def test_pixel_relations_do_not_see_rotations_lengths_and_the_order_of_images(
        seed, factor):
    student, teacher = noise(3, 4, 2, 3, seed=seed), noise(3, 2, 2, 3, seed=seed + 1)
    turn = torch.linalg.qr(noise(4, 4, seed=seed + 2))[0]
    wanted = pixel_relation_divergence(student, teacher)
    turned = factor * torch.einsum('dc,nchw->ndhw', turn, student)
    torch.testing.assert_close(pixel_relation_divergence(turned, teacher), wanted)
    order = [2, 0, 1]
    torch.testing.assert_close(
        pixel_relation_divergence(student[order], teacher[order]), wanted[order])


@CALM
@given(SEEDS, st.integers(0, 40))
def test_values_do_not_depend_on_the_memory(seed, rows):
    student, teacher = noise(2, 3, 4, 5, seed=seed), noise(2, 3, 4, 5, seed=seed + 1)
    whole = with_gradients(pixel_relation_divergence, student, teacher)
    chunked = with_gradients(lambda s, t: pixel_relation_divergence(
        s, t, max_memory=memory_for(rows, 20)), student, teacher)
    torch.testing.assert_close(chunked, whole, rtol=1e-11, atol=1e-12)


def test_low_temperatures_stay_finite():
    student, teacher = noise(2, 3, 4, 5, dtype=torch.float32), noise(2, 3, 4, 5, seed=1,
                                                                     dtype=torch.float32)
    for part in with_gradients(lambda s, t: pixel_relation_divergence(s, t, tau=1e-4),
                               student, teacher):
        assert part.isfinite().all()


# ---- what is refused ----------------------------------------------------------------


def test_names_the_axis_that_differs():
    x = torch.zeros(2, 3, 4, 5)
    for wrong, axis in ((x[:1], 'n'), (x[:, :, :1], 'h'), (x[..., :1], 'w')):
        with pytest.raises(ShapeError, match=f'Axis `{axis}` differs'):
            pixel_relation_divergence(x, wrong)
    with pytest.raises(ShapeError, match='Axis `c` differs'):
        channel_relation_divergence(x, x[:, :1])
    with pytest.raises(ShapeError, match='Axis `c` differs: `keys`'):
        contrast_divergence(x[0, 0], x[0, 0], torch.zeros(2, 4))


@BOTH
@pytest.mark.parametrize('name', ['tau', 'max_memory'])
@pytest.mark.parametrize('value', [0, -1, None, float('inf')])
def test_refuses_what_is_not_above_zero(divergence, name, value):
    x = torch.zeros(2, 3, 4, 5)
    with pytest.raises(ConfigError, match=f'`{name}` must be a number > 0'):
        divergence(x, x, **{name: value})
