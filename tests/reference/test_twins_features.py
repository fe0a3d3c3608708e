"""The feature losses equal their slow twins over a small grid."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from mmkd_ext import functional
from mmkd_ext.methods import MGDConnector

spec = importlib.util.spec_from_file_location(
    'twins_features', Path(__file__).with_name('twins_features.py'))
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

# no two axes agree where it could hide a mix-up; odd, thin and single sizes
SHAPES = [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 1, 6), (1, 5, 3, 1), (2, 1, 7, 9),
          (1, 2, 8, 2), (2, 3, 1, 1)]
# (dtype, tolerance): some ten roundings of the type, values are of order 1
DTYPES = [(torch.float64, 1e-12), (torch.float32, 5e-6)]


def noise(shape, dtype):
    generator = torch.Generator().manual_seed(sum(shape))
    return [(2 * torch.randn(shape, generator=generator, dtype=torch.float64) + 1)
            .to(dtype) for _ in range(2)]


def assert_equals_twin(fast, slow, tolerance):
    torch.testing.assert_close(fast.double(), torch.tensor(slow, dtype=torch.float64),
                               rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('frozen', [True, False])
@pytest.mark.parametrize('eps', [1e-6, 0.5])
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('dtype', 'tolerance'), DTYPES)
def test_correlation_distance_equals_its_twin(dtype, tolerance, shape, eps, frozen):
    student, teacher = noise(shape, dtype)
    teacher.requires_grad_(not frozen)  # the two are computed differently
    fast = functional.correlation_distance(student, teacher, eps=eps).detach()
    slow = twins.correlation_distance(student.tolist(), teacher.tolist(), eps)
    assert_equals_twin(fast, slow, tolerance)


@pytest.mark.parametrize('shape', [s for s in SHAPES if s[0] * s[2] * s[3] > 2])
def test_correlation_distance_is_one_minus_pearsons_correlation(shape):
    student, teacher = noise(shape, torch.float64)
    m = shape[0] * shape[2] * shape[3]
    sides = student.tolist(), teacher.tolist()
    wanted = [(m - 1) / m * (1 - twins.pearson(*(twins.numbers_of(c, side)
                                                 for side in sides)))
              for c in range(shape[1])]
    found = functional.correlation_distance(student, teacher, eps=1e-12).mean(0)
    assert_equals_twin(found, wanted, 1e-10)


@pytest.mark.parametrize('grids', [(4, 2, 1), (3,), (), (2, 1)])
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('dtype', 'tolerance'), DTYPES)
def test_pooled_error_equals_its_twin(dtype, tolerance, shape, grids):
    student, teacher = noise(shape, dtype)
    fast = functional.pooled_error(student, teacher, grids=grids)
    slow = twins.pooled_error(student.tolist(), teacher.tolist(), grids)
    assert_equals_twin(fast, slow, 4 * tolerance)  # squares of order 10


@pytest.mark.parametrize(('over', 'axes'), [('spatial', (0, None, 2, 3)),
                                            ('channel', (0, 1, None, None))])
@pytest.mark.parametrize('ratio', [0.0, 0.15, 0.65, 1.0])
def test_random_mask_equals_its_twin_on_the_same_numbers(ratio, over, axes):
    shape = (2, 3, 5, 4)
    drawn = [1 if axis is None else shape[axis] for axis in axes]
    uniform = torch.rand(drawn, generator=torch.Generator().manual_seed(3))
    fast = functional.random_mask(torch.zeros(shape), ratio, over=over,
                                  generator=torch.Generator().manual_seed(3))
    assert_equals_twin(fast, twins.random_mask(uniform.tolist(), ratio, over), 0)


@pytest.mark.parametrize('shape', [(1, 2, 3, 4), (2, 3, 5, 2)])
def test_the_generator_of_mgd_equals_its_twin(shape):
    feature, _ = noise(shape, torch.float64)
    connector = MGDConnector(shape[1], mask_ratio=0.4).double()
    torch.manual_seed(5)
    fast = connector(feature).detach()
    torch.manual_seed(5)
    mask = functional.random_mask(feature, 0.4)
    first, second = (
        (conv.weight.tolist(), conv.bias.tolist())
        for conv in (connector.generation[0], connector.generation[2]))
    slow = [twins.generated(image, keep, first, second)
            for image, keep in zip(feature.tolist(), mask.tolist())]
    assert_equals_twin(fast, slow, 1e-12)
