"""Affinities, directions, attention and class similarity equal their slow twins."""

from __future__ import annotations

import importlib.util
from math import inf
from pathlib import Path

import pytest
import torch

from mmkd_ext import functional

spec = importlib.util.spec_from_file_location(
    'twins_affinity', Path(__file__).with_name('twins_affinity.py'))
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

# with more positions than channels and with fewer; no axes agree by chance
SHAPES = [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 1, 6), (1, 7, 3, 1), (2, 4, 5, 3)]
# some ten roundings of the type; distances are of order 1 to the positions' root
DTYPES = [(torch.float64, 1e-11), (torch.float32, 5e-6)]
EACH = pytest.mark.parametrize(('dtype', 'tolerance'), DTYPES)


def noise(shape, dtype, seed=0):
    generator = torch.Generator().manual_seed(sum(shape) + seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def other_channels(shape):
    return (shape[0], shape[1] + 2, *shape[2:])


def assert_equals_twin(fast, slow, tolerance):
    torch.testing.assert_close(fast.double(), torch.tensor(slow, dtype=torch.float64),
                               rtol=tolerance, atol=tolerance)


@EACH
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('name', ['affinity_row_distance', 'affinity_squared_distance'])
def test_affinity_distances_equal_their_twins(name, shape, dtype, tolerance):
    student, teacher = noise(shape, dtype), noise(other_channels(shape), dtype, 1)
    fast = getattr(functional, name)(student, teacher)
    slow = getattr(twins, name)(student.tolist(), teacher.tolist())
    assert_equals_twin(fast, slow, tolerance * shape[2] * shape[3])


@EACH
def test_more_positions_than_a_chunk_equal_the_twin(dtype, tolerance, monkeypatch):
    monkeypatch.setattr('mmkd_ext.functional.affinity._CHUNK', 7)
    student, teacher = noise((2, 3, 4, 5), dtype), noise((2, 2, 4, 5), dtype, 1)
    for name in ('affinity_row_distance', 'affinity_squared_distance'):
        assert_equals_twin(getattr(functional, name)(student, teacher),
                           getattr(twins, name)(student.tolist(), teacher.tolist()),
                           20 * tolerance)


@EACH
@pytest.mark.parametrize('p', [1.0, 2.0, inf])
@pytest.mark.parametrize('q', [1.0, 2.0, 3.0, inf])
@pytest.mark.parametrize('shape', SHAPES)
def test_unit_distance_equals_its_twin(shape, p, q, dtype, tolerance):
    student, teacher = noise(shape, dtype), noise(shape, dtype, 1)
    assert_equals_twin(functional.unit_distance(student, teacher, p=p, q=q),
                       twins.unit_distance(student.tolist(), teacher.tolist(), p, q),
                       tolerance)


@EACH
@pytest.mark.parametrize('p', [1.0, 2.0, 3.0])
@pytest.mark.parametrize('shape', SHAPES)
def test_attention_distance_equals_its_twin(shape, p, dtype, tolerance):
    student, teacher = noise(shape, dtype), noise(other_channels(shape), dtype, 1)
    assert_equals_twin(functional.attention_distance(student, teacher, p=p),
                       twins.attention_distance(student.tolist(), teacher.tolist(), p),
                       tolerance)


@EACH
@pytest.mark.parametrize('num_classes', [1, 3, 19])
@pytest.mark.parametrize('shape', SHAPES)
def test_class_similarity_equals_its_twin(shape, num_classes, dtype, tolerance):
    feature = noise(shape, dtype)
    generator = torch.Generator().manual_seed(num_classes)
    labels = torch.randint(-1, 4, (shape[0], *shape[2:]), generator=generator)
    labels[labels == 3] = 255
    fast = functional.class_similarity(feature, labels, num_classes=num_classes)
    slow = twins.class_similarity(feature.tolist(), labels.tolist(), num_classes)
    assert_equals_twin(fast, slow, tolerance)


def test_features_of_length_zero_equal_the_twins():
    student, teacher = noise((2, 3, 2, 3), torch.float64), noise((2, 3, 2, 3),
                                                                 torch.float64, 1)
    student[:, :, 0, 1] = 0
    teacher[1] = 0
    sides = student.tolist(), teacher.tolist()
    for name, arguments in [('affinity_row_distance', {}),
                            ('affinity_squared_distance', {}),
                            ('unit_distance', {'p': 1.0, 'q': 2.0}),
                            ('attention_distance', {'p': 2.0})]:
        assert_equals_twin(getattr(functional, name)(student, teacher, **arguments),
                           getattr(twins, name)(*sides, **arguments), 1e-11)
    labels = torch.zeros(2, 2, 3, dtype=torch.long)
    assert_equals_twin(
        functional.class_similarity(teacher, labels, num_classes=2),
        twins.class_similarity(sides[1], labels.tolist(), 2), 1e-11)
