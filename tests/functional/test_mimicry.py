"""The squared error: values, symmetry, the slow twin."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import CALM, two_sides

from mmkd_ext.errors import ShapeError
from mmkd_ext.functional import squared_error

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def test_has_the_values_of_pencil_and_paper():
    student, teacher = torch.tensor([[1.0, 2, -3]]), torch.tensor([[3.0, 2, 1]])
    found = squared_error(student, teacher)
    assert found.tolist() == [[4.0, 0.0, 16.0]]


@CALM
@given(SHAPES, st.integers(0, 2**31))
def test_is_symmetric_positive_and_zero_at_equality(shape, seed):
    student, teacher = two_sides(*shape, seed=seed)
    found = squared_error(student, teacher)
    assert torch.equal(found, squared_error(teacher, student))
    assert (found > 0).all()
    assert not squared_error(student, student.clone()).any()


@pytest.mark.parametrize('shape', [(2, 1, 4, 4), (1, 3, 4, 4), (2, 3, 4), (2, 3, 4, 5)])
def test_refuses_what_would_broadcast_or_not_fit(shape):
    with pytest.raises(ShapeError, match=r'`student` \(2, 3, 4, 4\) and `teacher` .* '
                                         r'differ in shape; .* a connector'):
        squared_error(torch.zeros(2, 3, 4, 4), torch.zeros(shape))


def slow_squared_error(student, teacher):
    """Squared differences, nested as the inputs."""
    if isinstance(student, list):
        return [slow_squared_error(s, t) for s, t in zip(student, teacher)]
    return (student - teacher) * (student - teacher)


@pytest.mark.parametrize('shape', [(3,), (2, 5), (2, 3, 4, 5)])
def test_squared_error_equals_its_twin(shape):
    student, teacher = two_sides(*shape)
    slow = slow_squared_error(student.tolist(), teacher.tolist())
    assert squared_error(student, teacher).tolist() == slow
