"""Relations across images equal their slow twins."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from mmkd_ext import functional

spec = importlib.util.spec_from_file_location(
    'twins_relations', Path(__file__).with_name('twins_relations.py'))
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

# one image, one pixel, one channel; no axes agree by chance
SHAPES = [(1, 1, 1, 1), (2, 3, 2, 5), (3, 2, 1, 4), (1, 7, 3, 1)]
# some hundred roundings of the type: a row is a sum over exponentials of up to 20
DTYPES = [(torch.float64, 1e-11), (torch.float32, 2e-5)]
EACH = pytest.mark.parametrize(('dtype', 'tolerance'), DTYPES)
TAUS = pytest.mark.parametrize('tau', [0.1, 1.0, 3.0])
# one row at a time, and all of them
MEMORY = pytest.mark.parametrize('max_memory', [1e-9, 256])


def noise(shape, dtype, seed=0):
    generator = torch.Generator().manual_seed(sum(shape) + seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def assert_equals_twin(fast, slow, tolerance):
    torch.testing.assert_close(fast.double().flatten(1),
                               torch.tensor(slow, dtype=torch.float64),
                               rtol=tolerance, atol=tolerance)


@EACH
@TAUS
@MEMORY
@pytest.mark.parametrize('shape', SHAPES)
def test_pixel_relations_equal_their_twin(shape, tau, max_memory, dtype, tolerance):
    n, c, h, w = shape
    student, teacher = noise(shape, dtype), noise((n, c + 2, h, w), dtype, 1)
    assert_equals_twin(
        functional.pixel_relation_divergence(
            student, teacher, tau=tau, max_memory=max_memory),
        twins.pixel_relation_divergence(
            student.tolist(), teacher.tolist(), tau), tolerance)


@EACH
@TAUS
@MEMORY
@pytest.mark.parametrize('shape', SHAPES)
def test_channel_relations_equal_their_twin(shape, tau, max_memory, dtype, tolerance):
    n, c, h, w = shape
    student, teacher = noise(shape, dtype), noise((n, c, h + 1, w + 2), dtype, 1)
    assert_equals_twin(
        functional.channel_relation_divergence(
            student, teacher, tau=tau, max_memory=max_memory),
        twins.channel_relation_divergence(
            student.tolist(), teacher.tolist(), tau), tolerance)


@EACH
@TAUS
@MEMORY
@pytest.mark.parametrize('count', [0, 1, 5])
def test_contrasts_equal_their_twin(count, tau, max_memory, dtype, tolerance):
    student, teacher = noise((6, 3), dtype), noise((6, 3), dtype, 1)
    keys = noise((count, 3), dtype, 2)
    found = functional.contrast_divergence(
        student, teacher, keys, tau=tau, max_memory=max_memory)
    slow = twins.contrast_divergence(
        student.tolist(), teacher.tolist(), keys.tolist(), tau)
    assert_equals_twin(found[None], [slow], tolerance)


def test_features_of_length_zero_equal_the_twins():
    student, teacher = (noise((2, 3, 2, 3), torch.float64, s) for s in (0, 1))
    student[:, :, 0, 1] = 0
    teacher[1] = 0
    for name, parts in (('pixel', twins.pixels), ('channel', twins.channels)):
        function = getattr(functional, f'{name}_relation_divergence')
        assert_equals_twin(
            function(student, teacher),
            twins.relation_divergence(student.tolist(), teacher.tolist(), 0.1, parts),
            1e-11)
