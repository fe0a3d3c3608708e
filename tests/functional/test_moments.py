"""What the distance of standardised channels promises."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import correlation_distance

CALM = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SEEDS = st.integers(0, 2**31)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 5),
                   st.integers(1, 4))


def noise(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64)
            for _ in range(2)]


@CALM
@given(SHAPES, SEEDS)
def test_is_one_minus_the_correlation_up_to_the_unbiased_deviation(shape, seed):
    student, teacher = noise(shape, seed)
    rows = [x.transpose(0, 1).flatten(1) for x in (student, teacher)]
    m = rows[0].shape[1]
    wanted = [(m - 1) / m * (1 - torch.corrcoef(torch.stack([s, t]))[0, 1])
              for s, t in zip(*rows)]
    found = correlation_distance(student, teacher, eps=1e-12).mean(0)
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-8, atol=1e-9)


@CALM
@given(SHAPES, SEEDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_scale_and_offset_of_a_channel_do_not_matter(shape, seed, scale, offset):
    student, teacher = noise(shape, seed)
    torch.testing.assert_close(
        correlation_distance(scale * student + offset, teacher, eps=1e-12),
        correlation_distance(student, teacher, eps=1e-12), rtol=1e-7, atol=1e-9)


@CALM
@given(SHAPES, SEEDS)
def test_is_symmetric_never_negative_and_zero_at_equality(shape, seed):
    student, teacher = noise(shape, seed)
    found = correlation_distance(student, teacher)
    torch.testing.assert_close(found, correlation_distance(teacher, student))
    assert found.min() >= 0
    assert correlation_distance(student, student.clone()).abs().max() < 1e-25


@pytest.mark.parametrize('m', [2, 12])
def test_opposite_channels_are_twice_as_far_as_unrelated_ones(m):
    x = torch.linspace(-1, 1, m, dtype=torch.float64).reshape(1, 1, 1, m)
    found = correlation_distance(-3 * x, x, eps=1e-12).item()
    assert found == pytest.approx(2 * (m - 1) / m, rel=1e-10)


def test_statistics_go_over_the_batch_not_over_an_image():
    # each image alone is constant, both together are not
    student = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    assert correlation_distance(student, 1 - student).mean() > 1
    assert correlation_distance(student[:1], 1 - student[:1]) == 0


@pytest.mark.parametrize('frozen', [True, False])
def test_one_value_for_a_channel_has_no_distance_and_no_gradient(frozen):
    student, teacher = noise((1, 3, 1, 1))
    teacher.requires_grad_(not frozen)
    found = correlation_distance(student.requires_grad_(), teacher)
    assert found.tolist() == [[0, 0, 0]]
    found.sum().backward()
    assert not student.grad.any()


@pytest.mark.parametrize('side', ['student', 'teacher', 'both'])
@pytest.mark.parametrize('frozen', [True, False])
def test_a_constant_channel_is_finite_with_its_gradient(side, frozen):
    student, teacher = noise((2, 2, 3, 3))
    if side != 'teacher':
        student[:, 0] = 3.0
    if side != 'student':
        teacher[:, 0] = -1.0
    teacher.requires_grad_(not frozen)
    found = correlation_distance(student.requires_grad_(), teacher)
    found.sum().backward()
    assert found.isfinite().all()
    assert student.grad.isfinite().all()
    # against a channel that is 0 after standardising: half of (m - 1) / m
    wanted = 0.0 if side == 'both' else 17 / 36
    assert found[:, 0].mean().item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize('frozen', [True, False])
@pytest.mark.parametrize('shape', [(2, 3, 2, 3), (1, 2, 1, 3), (3, 1, 1, 1)])
def test_gradient_is_right(frozen, shape):
    student, teacher = noise(shape)
    teacher.requires_grad_(not frozen)
    assert torch.autograd.gradcheck(
        lambda s, t: correlation_distance(s, t, eps=0.1),
        (student.requires_grad_(), teacher))


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_a_frozen_teacher_gives_the_value_and_gradient_of_a_learning_one(dtype, layout):
    sides = [x.to(dtype, memory_format=layout) for x in noise((2, 5, 3, 4))]
    weights = torch.rand(2, 5, dtype=dtype)
    results = []
    for frozen in (True, False):
        student, teacher = (x.clone() for x in sides)
        student.requires_grad_()
        found = correlation_distance(student, teacher.requires_grad_(not frozen))
        (weights * found).sum().backward()
        results.append((found.detach(), student.grad))
    torch.testing.assert_close(results[0], results[1])


def test_digits_survive_an_offset_far_from_zero():
    student, teacher = noise((2, 3, 8, 8))
    exact = correlation_distance(student, teacher)
    found = correlation_distance((student + 100).float(), (teacher + 100).float())
    # an input of 100 is rounded to 8e-6, which is what remains
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-5)


def test_keeps_nothing_of_the_size_of_a_map_but_the_sides():
    student, teacher = noise((2, 3, 16, 16))
    kept = []

    def note(x):
        kept.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        correlation_distance(student.requires_grad_(), teacher)
    large = [x for x in kept if x.numel() > student.numel() // 2]
    pointers = {x.data_ptr() for x in large}
    assert pointers == {student.data_ptr(), teacher.data_ptr()}


@pytest.mark.parametrize('shape', [(2, 1, 4, 4), (1, 3, 4, 4), (2, 3, 4, 5), (2, 3, 4)])
def test_refuses_sides_that_do_not_fit(shape):
    with pytest.raises(ShapeError, match=r'differs|is needed'):
        correlation_distance(torch.zeros(2, 3, 4, 4), torch.zeros(shape))


@pytest.mark.parametrize('eps', [0, -1e-6, float('nan')])
def test_refuses_an_eps_that_is_not_positive(eps):
    with pytest.raises(ConfigError, match='`eps` must be a number > 0'):
        correlation_distance(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), eps=eps)
