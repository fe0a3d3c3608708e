"""The affinity distances: dense forms, gradients, edges, the slow twins."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from slow_parts import CALM, SEEDS, as_map, columns, cosine, doubles

from mmkd_ext.functional import affinity_row_distance, affinity_squared_distance

BOTH = pytest.mark.parametrize(
    'distance', [affinity_row_distance, affinity_squared_distance])


def dense(student, teacher, distance):
    """The same with (HW)x(HW) matrices, as the papers write it."""
    x, y = (F.normalize(side.flatten(2)) for side in (student, teacher))
    apart = x.transpose(1, 2) @ x - y.transpose(1, 2) @ y
    if distance is affinity_row_distance:
        return apart.norm(dim=2).reshape(student.shape[0], *student.shape[2:])
    return apart.square().sum((1, 2))


def with_gradients(distance, student, teacher, learns=True):
    sides = [side.clone().requires_grad_(needed)
             for side, needed in ((student, True), (teacher, learns))]
    value = distance(*sides)
    # every item pulls with a weight of its own
    weight = torch.linspace(0.5, 2, value.numel(), dtype=value.dtype)
    (value.flatten() * weight).sum().backward()
    return [value.detach(), *(side.grad for side in sides if side.requires_grad)]


@BOTH
# more channels than positions, fewer, and positions of more than one chunk
@pytest.mark.parametrize(('size', 'learns'), [
    ((2, 3), True), ((5, 7), False), ((33, 40), True)])
def test_equals_the_dense_form_with_its_gradients(distance, size, learns):
    student, teacher = doubles(2, 3, *size), doubles(2, 4, *size, seed=1)
    found = with_gradients(distance, student, teacher, learns)
    wanted = with_gradients(
        lambda s, t: dense(s, t, distance), student, teacher, learns)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@BOTH
@pytest.mark.parametrize('apart', [1.0, 1e-2])
def test_float32_equals_the_dense_form_in_float64_to_a_hundred_thousandth(
        distance, apart):
    # also where student and teacher nearly agree, and the three terms nearly cancel
    student = doubles(2, 16, 12, 20)
    teacher = student + apart * doubles(2, 16, 12, 20, seed=1)
    student, teacher = student.float(), teacher.float()
    found = with_gradients(distance, student, teacher)
    wanted = with_gradients(lambda s, t: dense(s, t, distance), student.double(),
                            teacher.double())
    for one, other in zip(found, wanted):
        assert one.dtype == torch.float32
        assert (one - other).norm() <= 1e-5 * other.norm()


@BOTH
def test_makes_no_matrix_of_positions(distance):
    # 4 channels, 128 x 128 positions: the matrix would be 2 GiB, the map is 512 KiB
    student, teacher = (doubles(1, 4, 128, 128, seed=s, dtype=torch.float32)
                        for s in (0, 1))
    made = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                made.append(out.numel())
            return out

    with Watch():
        distance(student.requires_grad_(), teacher).sum().backward()
    assert max(made) <= 4 * 128 * 128
    assert student.grad.isfinite().all()


def test_a_flat_student_and_orthogonal_teachers_differ_by_the_root_of_the_others():
    # by hand: rows of ones against rows of the identity, m = 6
    student, teacher = torch.ones(1, 2, 2, 3), torch.eye(6).reshape(1, 6, 2, 3)
    torch.testing.assert_close(affinity_row_distance(student, teacher),
                               torch.full((1, 2, 3), sqrt(5)))
    torch.testing.assert_close(affinity_squared_distance(student, teacher),
                               torch.tensor([30.0]))


@BOTH
@CALM
@given(SEEDS)
def test_is_symmetric_positive_and_zero_at_equality(distance, seed):
    student, teacher = doubles(2, 3, 3, 4, seed=seed), doubles(
        2, 5, 3, 4, seed=seed + 1)
    there, back = distance(student, teacher), distance(teacher, student)
    torch.testing.assert_close(there, back, rtol=1e-9, atol=1e-9)
    assert (there > 0).all()
    assert not distance(student, student.clone()).any()


@BOTH
@pytest.mark.parametrize('size', [(1, 3), (3, 4)])
def test_gradient_is_right(distance, size):
    student, teacher = doubles(2, 2, *size), doubles(2, 3, *size, seed=1)
    assert torch.autograd.gradcheck(
        distance, (student.requires_grad_(), teacher.requires_grad_()))


@pytest.mark.parametrize('size', [(1, 3), (3, 4)])
def test_lengths_may_be_constants_in_the_backward_pass(size):
    student, teacher = doubles(2, 2, *size), doubles(2, 3, *size, seed=1)
    student.requires_grad_()
    value = affinity_squared_distance(student, teacher, norm_gradient=False)
    torch.testing.assert_close(value, affinity_squared_distance(student, teacher))
    unit = student / student.detach().norm(dim=1, keepdim=True)
    other = F.normalize(teacher).flatten(2)
    x = unit.flatten(2)
    (x.transpose(1, 2) @ x - other.transpose(1, 2) @ other).square().sum().backward()
    wanted, student.grad = student.grad, None
    value.sum().backward()
    torch.testing.assert_close(student.grad, wanted)


@BOTH
def test_features_of_length_zero_get_no_gradient_but_a_number(distance):
    student, teacher = doubles(2, 3, 3, 4), doubles(2, 3, 3, 4, seed=1)
    student[0, :, 1, 1] = 0
    teacher[1] = 0
    value, *slopes = with_gradients(distance, student, teacher)
    assert value.isfinite().all()
    assert all(slope.isfinite().all() for slope in slopes)
    assert not slopes[0][0, :, 1, 1].any()


@BOTH
@pytest.mark.parametrize(
    ('scale', 'size'), [(1e-8, (3, 4)), (1e30, (1, 3)), (1e30, (3, 4))])
def test_no_feature_is_too_small_or_large(distance, scale, size):
    student, teacher = (
        doubles(1, 3, *size, seed=s, dtype=torch.float32) for s in (0, 1))
    torch.testing.assert_close(distance(scale * student, teacher),
                               distance(student, teacher))


def affinity(image):
    """The matrix of the cosines between all positions."""
    positions = columns(image)
    return [[cosine(a, b) for b in positions] for a in positions]


def slow_affinity_row_distance(student, teacher):
    """KA's affinity term, row by row and without 1 / m: ``[n][h][w]``."""
    return [as_map([sqrt(sum((a - b)**2 for a, b in zip(row_s, row_t)))
                    for row_s, row_t in zip(affinity(s), affinity(t))], s)
            for s, t in zip(student, teacher)]


def slow_affinity_squared_distance(student, teacher):
    """SKDS' pair-wise term without its division: ``[n]``."""
    return [sum((a - b)**2 for row_s, row_t in zip(affinity(s), affinity(t))
                for a, b in zip(row_s, row_t))
            for s, t in zip(student, teacher)]


@pytest.mark.parametrize('shape', [(2, 3, 4, 5), (1, 7, 3, 1)])
@pytest.mark.parametrize(('distance', 'slow'), [
    (affinity_row_distance, slow_affinity_row_distance),
    (affinity_squared_distance, slow_affinity_squared_distance)])
def test_affinity_equals_its_twin(distance, slow, shape):
    n, c, h, w = shape
    student, teacher = doubles(*shape), doubles(n, c + 2, h, w, seed=1)
    student[:, :, 0, 0] = 0
    torch.testing.assert_close(
        distance(student, teacher), torch.tensor(
            slow(student.tolist(), teacher.tolist()), dtype=torch.float64),
        rtol=1e-9, atol=1e-7)
