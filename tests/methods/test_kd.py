"""KD: cases for the laws, and what is special to the class."""

from __future__ import annotations

from math import log

import pytest
import torch

from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import KDLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair


def per_sample_constant(x):
    # one value for each position, the same for all classes
    shape = (x.shape[0], 1, *x.shape[2:])
    count = x[:, :1].numel()
    return x + torch.linspace(-3, 3, count, dtype=x.dtype).reshape(shape)


# By hand. Each of two pixels has classes with 3/4 and 1/4 for the teacher, 1/2 and 1/2
# for the student. Each channel is flat, so a softmax over positions would see nothing.
KL = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
SKEWED = [[[[log(3), log(3)]], [[0.0, 0.0]]]]
FLAT = [[[[0.0, 0.0]], [[0.0, 0.0]]]]

CASES = [
    LossCase(
        KDLoss,
        temperature='tau',
        invariances={'a constant added to each pixel': per_sample_constant},
        values=[KnownValue(FLAT, SKEWED, KL, 'KL(3/4 || 1/2) by hand, mean of two'),
                KnownValue(FLAT, [[[[log(3), 0.0]], [[0.0, 0.0]]]], KL / 2,
                           'one of two pixels differs')],
    ),
    LossCase(
        KDLoss,
        {'tau': 4.0},
        inputs=pair(3, 5),
        invariances={'a constant added to each sample': per_sample_constant},
        values=[KnownValue([[0.0, 0.0]], [[4 * log(3), 0.0]], 16 * KL,
                           'the teacher at tau=4 is as skewed; times tau**2')],
    ),
]


def test_is_the_mean_over_images_and_pixels():
    student, teacher = torch.randn(2, 3, 5, 2, 4, dtype=torch.float64)

    def as_samples(x):
        return x.permute(0, 2, 3, 1).reshape(-1, 5)

    loss = KDLoss(tau=2.0)
    torch.testing.assert_close(loss(student, teacher),
                               loss(as_samples(student), as_samples(teacher)))


@pytest.mark.parametrize('tau', [0, -1.0, float('nan'), True, '4'])
def test_refuses_a_temperature_that_is_not_positive(tau):
    with pytest.raises(ConfigError, match=r'`tau` must be a number > 0, but is'):
        KDLoss(tau=tau)


def test_may_align_size_but_never_mixes_classes():
    assert KDLoss.aligns == {'size'}
