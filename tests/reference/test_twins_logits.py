"""DKD's and DIST's fast functions equal their slow twins over a small grid."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from mmkd_ext.functional import decoupled_divergence, pearson
from mmkd_ext.methods import DISTLoss

spec = importlib.util.spec_from_file_location(
    'twins_logits', Path(__file__).with_name('twins_logits.py'))
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

TAUS = pytest.mark.parametrize('tau', [0.5, 1.0, 1, 4.0])
SHAPES = pytest.mark.parametrize('shape', [(1, 2), (4, 3), (3, 19), (5, 81)])
# (dtype, tolerance): some ten roundings of the type, values are of order 1 to tau**2
DTYPES = pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 5e-6)])


def noise(shape, dtype, spread=2.0):
    generator = torch.Generator().manual_seed(sum(shape))
    return [spread * torch.randn(shape, generator=generator, dtype=torch.float64)
            .to(dtype) for _ in range(2)]


def assert_equals_twin(fast, slow, tolerance):
    torch.testing.assert_close(fast.double(), torch.tensor(slow, dtype=torch.float64),
                               rtol=tolerance, atol=tolerance)


@TAUS
@SHAPES
@DTYPES
def test_decoupled_divergence_equals_its_twin(shape, dtype, tolerance, tau):
    student, teacher = noise(shape, dtype)
    labels = torch.arange(shape[0]) % shape[1]
    fast = decoupled_divergence(student, teacher, labels, tau=tau)
    slow = twins.decoupled_divergence(
        student.tolist(), teacher.tolist(), labels.tolist(), tau)
    for one, other in zip(fast, slow):
        # the log-odds of a half are of order 1 / tau, their rounding too
        assert_equals_twin(one, other, tolerance * max(1, tau**2, 2 / tau))


@SHAPES
@DTYPES
@pytest.mark.parametrize('dim', [0, 1])
def test_pearson_equals_its_twin(shape, dtype, tolerance, dim):
    student, teacher = noise(shape, dtype)
    slow = twins.pearson(student.tolist(), teacher.tolist(), dim)
    assert_equals_twin(pearson(student, teacher, dim=dim), slow, tolerance)


@TAUS
@SHAPES
@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
def test_dist_equals_its_twin(shape, tau, activation):
    student, teacher = noise(shape, torch.float64)
    fast = DISTLoss(beta=0.5, gamma=3.0, tau=tau, activation=activation)
    slow = twins.dist(student.tolist(), teacher.tolist(), 0.5, 3.0, tau, activation)
    assert_equals_twin(fast(student, teacher), slow, 1e-11 * max(1, tau**2))
