"""What the distances promise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ShapeError
from mmkd_ext.functional import squared_error

CALM = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def noise(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64)
            for _ in range(2)]


def test_has_the_values_of_pencil_and_paper():
    student, teacher = torch.tensor([[1.0, 2, -3]]), torch.tensor([[3.0, 2, 1]])
    found = squared_error(student, teacher)
    assert found.tolist() == [[4.0, 0.0, 16.0]]


@CALM
@given(SHAPES, st.floats(-100, 100), st.integers(0, 2**31))
def test_a_constant_difference_is_squared_everywhere(shape, difference, seed):
    _, teacher = noise(shape, seed)
    found = squared_error(teacher + difference, teacher)
    torch.testing.assert_close(found, torch.full_like(found, difference**2),
                               rtol=1e-9, atol=1e-12)


@CALM
@given(SHAPES, st.integers(0, 2**31))
def test_is_symmetric_positive_and_zero_at_equality(shape, seed):
    student, teacher = noise(shape, seed)
    found = squared_error(student, teacher)
    assert torch.equal(found, squared_error(teacher, student))
    assert (found > 0).all()
    assert not squared_error(student, student.clone()).any()


@CALM
@given(SHAPES, st.floats(-20, 20), st.integers(0, 2**31))
def test_grows_with_the_square_of_the_scale(shape, scale, seed):
    student, teacher = noise(shape, seed)
    torch.testing.assert_close(squared_error(scale * student, scale * teacher),
                               scale**2 * squared_error(student, teacher),
                               rtol=1e-9, atol=1e-12)


def test_gradient_is_right():
    student, teacher = noise((2, 3, 2))
    assert torch.autograd.gradcheck(
        squared_error, (student.requires_grad_(), teacher.requires_grad_()))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_keeps_the_type(dtype):
    assert squared_error(torch.ones(2, dtype=dtype), torch.ones(2, dtype=dtype)
                         ).dtype == dtype


@pytest.mark.parametrize('shape', [(2, 1, 4, 4), (1, 3, 4, 4), (2, 3, 4), (2, 3, 4, 5)])
def test_refuses_what_would_broadcast_or_not_fit(shape):
    with pytest.raises(ShapeError, match=r'`student` \(2, 3, 4, 4\) and `teacher` .* '
                                         r'differ in shape; .* a connector'):
        squared_error(torch.zeros(2, 3, 4, 4), torch.zeros(shape))
