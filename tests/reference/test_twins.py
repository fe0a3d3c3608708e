"""The fast functions equal their slow twins over a small grid."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from mmkd_ext import functional

spec = importlib.util.spec_from_file_location(
    'twins', Path(__file__).with_name('twins.py'))
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

# no two axes agree where it could hide a mix-up
SHAPES = [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 1, 6), (1, 5, 3, 1), (2, 19, 2, 2)]
TAUS = [0.5, 1.0, 1, 2.0, 4.0, 10.0]
# (dtype, tolerance): some ten roundings of the type, values are of order 1 to tau**2
DTYPES = [(torch.float64, 1e-12), (torch.float32, 5e-6)]


def noise(shape, dtype, spread=1.0):
    generator = torch.Generator().manual_seed(sum(shape))
    return [spread * torch.randn(shape, generator=generator, dtype=torch.float64)
            .to(dtype) for _ in range(2)]


def assert_equals_twin(fast, slow, tolerance):
    torch.testing.assert_close(fast.double(), torch.tensor(slow, dtype=torch.float64),
                               rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('frozen', [True, False])
@pytest.mark.parametrize('tau', TAUS)
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('dtype', 'tolerance'), DTYPES)
@pytest.mark.parametrize('name', ['channel_divergence', 'class_divergence'])
def test_divergence_of_maps_equals_its_twin(name, dtype, tolerance, shape, tau, frozen):
    student, teacher = noise(shape, dtype, spread=3.0)
    teacher.requires_grad_(not frozen)  # the two are computed differently
    fast = getattr(functional, name)(student, teacher, tau=tau).detach()
    slow = getattr(twins, name)(student.tolist(), teacher.tolist(), tau)
    # the sum is of terms of order tau**2, their rounding grows with it
    assert_equals_twin(fast, slow, tolerance * max(1, tau**2))


@pytest.mark.parametrize('tau', TAUS)
@pytest.mark.parametrize('shape', [(1, 1), (1, 2), (4, 3), (3, 19)])
@pytest.mark.parametrize(('dtype', 'tolerance'), DTYPES)
def test_class_divergence_of_samples_equals_its_twin(dtype, tolerance, shape, tau):
    student, teacher = noise(shape, dtype, spread=3.0)
    fast = functional.class_divergence(student, teacher, tau=tau)
    slow = twins.class_divergence_of_samples(student.tolist(), teacher.tolist(), tau)
    assert_equals_twin(fast, slow, tolerance * max(1, tau**2))


@pytest.mark.parametrize('shape', [*SHAPES, (3,), (2, 5), (2, 3, 4)])
@pytest.mark.parametrize(('dtype', 'tolerance'), DTYPES)
def test_squared_error_equals_its_twin(dtype, tolerance, shape):
    student, teacher = noise(shape, dtype)
    fast = functional.squared_error(student, teacher)
    slow = twins.squared_error(student.tolist(), teacher.tolist())
    assert_equals_twin(fast, slow, tolerance)
