"""DKD and DIST of maps equal their slow twins over a small grid."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmkd_ext.methods import DISTLoss, DKDPixelLoss

spec = importlib.util.spec_from_file_location(
    'twins_pixels', Path(__file__).with_name('twins_pixels.py')
)
twins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twins)

SHAPES = pytest.mark.parametrize(
    'shape', [(1, 2, 1, 1), (2, 3, 2, 3), (1, 19, 3, 2), (3, 5, 1, 4)]
)
TAUS = pytest.mark.parametrize('tau', [0.5, 1.0, 4.0])


def batch(shape, seed=0, ignored=0.3):
    """Both sides and labels, of which some are ignored but never all."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    student, teacher = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    size = (shape[0], *shape[2:])
    labels = torch.randint(shape[1], size, generator=generator)
    hidden = torch.rand(size, generator=generator) < ignored
    hidden[0, 0, 0] = False
    return student, teacher, labels.masked_fill(hidden, 255)


def samples(labels):
    return [
        SimpleNamespace(gt_sem_seg=SimpleNamespace(data=one[None])) for one in labels
    ]


@TAUS
@SHAPES
def test_dkd_of_pixels_equals_its_twin(shape, tau):
    student, teacher, labels = batch(shape)
    fast = DKDPixelLoss(alpha=0.5, beta=3.0, tau=tau)
    slow = twins.dkd(
        student.tolist(), teacher.tolist(), labels.tolist(), 0.5, 3.0, tau, 255
    )
    found = fast(student, teacher, data_samples=samples(labels))
    assert found.item() == pytest.approx(slow, rel=1e-10)


@TAUS
@SHAPES
def test_dist_of_maps_equals_its_twin(shape, tau):
    student, teacher, _ = batch(shape)
    slow = twins.dist(student.tolist(), teacher.tolist(), 0.5, 3.0, tau)
    found = DISTLoss(beta=0.5, gamma=3.0, tau=tau)(student, teacher)
    assert found.item() == pytest.approx(slow, rel=1e-10)


@given(seed=st.integers(0, 10_000), height=st.integers(1, 4), width=st.integers(1, 4))
def test_ignored_logits_do_not_matter_to_dkd(seed, height, width):
    student, teacher, labels = batch((2, 4, height, width), seed)
    noise = torch.randn_like(student) * (labels == 255)[:, None]
    loss = DKDPixelLoss()
    torch.testing.assert_close(
        loss(student + noise, teacher - noise, data_samples=samples(labels)),
        loss(student, teacher, data_samples=samples(labels)),
    )


@given(seed=st.integers(0, 10_000))
def test_dkd_is_never_negative_and_zero_at_equality(seed):
    student, teacher, labels = batch((2, 4, 3, 2), seed)
    found = samples(labels)
    assert DKDPixelLoss()(student, teacher, data_samples=found) >= 0
    assert abs(DKDPixelLoss()(student, student, data_samples=found)) < 1e-12
