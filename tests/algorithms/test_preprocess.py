"""A teacher with other statistics sees what its own preprocessor would have made."""

from __future__ import annotations

import pytest
import torch
from mmengine.model import ImgDataPreprocessor

from mmkd_ext.algorithms.preprocess import InputStats, Renormalize
from mmkd_ext.errors import ConfigError

STUDENT = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
TEACHER = dict(mean=[100.0, 90.0, 80.0], std=[1.0, 2.0, 3.0], bgr_to_rgb=True)


def test_equals_the_teachers_own_preprocessor():
    torch.manual_seed(0)
    images = [
        torch.randint(0, 256, (3, 8, 10), dtype=torch.uint8),
        torch.randint(0, 256, (3, 6, 7), dtype=torch.uint8),
    ]

    class Sample:
        def __init__(self, image):
            self.metainfo = {'img_shape': tuple(image.shape[1:])}

    student, teacher = ImgDataPreprocessor(**STUDENT), ImgDataPreprocessor(**TEACHER)
    batch = student({'inputs': images})['inputs']
    expected = teacher({'inputs': images})['inputs']
    plan = Renormalize(InputStats.of(student), InputStats.of(teacher))
    got = plan(batch, [Sample(image) for image in images])
    assert torch.allclose(got, expected, atol=1e-4)
    assert (got[1, :, 6:] == 0).all()


def test_does_not_touch_the_students_batch():
    plan = Renormalize(InputStats((1.0,) * 3, (2.0,) * 3), InputStats((0.0,), (1.0,)))
    batch = torch.rand(1, 3, 4, 4)
    before = batch.clone()
    assert torch.allclose(plan(batch, None), before * 2 + 1)
    assert torch.equal(batch, before)


def test_equal_statistics_change_nothing_and_others_are_described():
    stats = InputStats((1.0,) * 3, (2.0,) * 3)
    batch = torch.rand(1, 3, 4, 4)
    plan = Renormalize(stats, stats)
    assert plan.is_identity
    assert plan(batch, None) is batch
    assert plan.describe() == 'same normalisation'
    other = Renormalize(stats, InputStats((1.0,), (2.0,), swap=True))
    assert 'channels swapped' in other.describe()


def test_half_batches_stay_half():
    plan = Renormalize(InputStats((120.0,), (60.0,)), InputStats((0.0,), (1.0,)))
    half = torch.zeros(1, 3, 2, 2, dtype=torch.bfloat16)
    assert plan(half, None).dtype is torch.bfloat16


def test_a_preprocessor_without_statistics_passes_pixels():
    assert InputStats.of(ImgDataPreprocessor()) == InputStats((0.0,), (1.0,))
    assert InputStats.of(None) is None
    assert InputStats.of(torch.nn.Identity()) is None


@pytest.mark.parametrize('config', [dict(mean=[1]), dict(mean=[1], std=[1], bgr=True)])
def test_a_wrong_config_is_named(config):
    with pytest.raises(ConfigError, match=r'model\.x.*mean'):
        InputStats.from_config(config, 'model.x')
