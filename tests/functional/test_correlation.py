"""What the correlation promises: closed forms, invariances, edges, messages."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_ext.errors import ShapeError
from mmkd_ext.functional import pearson

CALM = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SEEDS = st.integers(0, 2**31)
DIMS = pytest.mark.parametrize('dim', [0, 1])


def noise(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64)
            for _ in range(2)]


@CALM
@given(SEEDS, st.floats(0.1, 50), st.floats(-20, 20))
def test_scale_and_offset_of_each_row_do_not_matter(seed, scale, offset):
    student, teacher = noise((4, 6), seed)
    change = scale * torch.arange(1, 5, dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        pearson(change * student + offset, teacher, dim=1),
        pearson(student, teacher, dim=1), rtol=1e-6, atol=1e-6)  # the authors' 1e-8


@CALM
@given(SEEDS, st.integers(2, 9))
def test_lies_between_minus_one_and_one_and_is_symmetric(seed, length):
    student, teacher = noise((3, length), seed)
    found = pearson(student, teacher, dim=1)
    assert found.abs().max() <= 1 + 1e-12
    torch.testing.assert_close(found, pearson(teacher, student, dim=1))


@DIMS
def test_agrees_with_torch(dim):
    student, teacher = noise((5, 5))
    other = 1 - dim
    wanted = [torch.corrcoef(torch.stack([s, t]))[0, 1]
              for s, t in zip(student.unbind(other), teacher.unbind(other))]
    torch.testing.assert_close(pearson(student, teacher, dim=dim), torch.stack(wanted),
                               rtol=1e-7, atol=1e-7)


def test_the_reverse_is_minus_one():
    _, teacher = noise((4, 6))
    torch.testing.assert_close(pearson(3 - 2 * teacher, teacher, dim=1),
                               -torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-7)


@DIMS
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_what_does_not_vary_has_no_correlation_and_no_gradient(dim, dtype):
    student = torch.full((3, 4), 0.7, dtype=dtype, requires_grad=True)
    teacher = noise((3, 4))[0].to(dtype)
    found = pearson(student, teacher, dim=dim)
    torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-6)
    pearson(teacher.requires_grad_(), student.detach(), dim=dim).sum().backward()
    assert teacher.grad.isfinite().all()
    found.sum().backward()
    assert student.grad.isfinite().all()


def test_one_sample_has_no_correlation_over_the_batch():
    student, teacher = noise((1, 4))
    assert not pearson(student.requires_grad_(), teacher, dim=0).any()


def test_no_samples_have_no_items():
    empty = torch.zeros(0, 4)
    assert pearson(empty, empty, dim=1).shape == (0,)
    assert not pearson(empty, empty, dim=0).any()


@DIMS
def test_gradient_is_right(dim):
    student, teacher = noise((3, 4))
    assert torch.autograd.gradcheck(
        lambda s, t: pearson(s, t, dim=dim),
        (student.requires_grad_(), teacher.requires_grad_()))


def test_refuses_other_shapes():
    with pytest.raises(ShapeError, match=r'\(2, 3\).*\(1, 3\).*differ in shape'):
        pearson(torch.zeros(2, 3), torch.zeros(1, 3), dim=1)
