"""AT: cases for the laws, and what is special to the class."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import ATLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

STUDENT = [[[[4.0, -3.0]]]]
TEACHER = [[[[1.0, 0.0]], [[0.0, 0.0]]]]

CASES = [
    LossCase(
        ATLoss,
        inputs=pair(2, 3, 4, 5, teacher=(2, 4, 4, 5)),
        free_axes=[1],
        invariances={'a factor': lambda x: -3 * x,
                     'channels in another order': lambda x: x.flip(1)},
        values=[KnownValue(STUDENT, TEACHER, 1 - 16 / 337**0.5,
                           '(16, 9) / sqrt(337) against (1, 0) by hand: '
                           '2 (1 - cos) of two unit vectors, halved by the mean')],
    ),
    LossCase(ATLoss, {'p': 1.0}, inputs=pyramid((2, 3, 4, 4), (2, 3, 2, 2)),
             free_axes=[1],
             values=[KnownValue(STUDENT, STUDENT, 0.0, 'equal')]),
]


@pytest.mark.parametrize('p', [0, 0.5, float('nan'), '2'])
def test_refuses_a_power_below_one(p):
    with pytest.raises(ConfigError, match='`p` must be a number >= 1'):
        ATLoss(p=p)


def test_channels_may_differ_as_they_are():
    assert ATLoss.any_shape == {'channels'}
    assert ATLoss.alignable == {'size'}


def test_the_value_falls_with_the_size_of_the_map():
    student, teacher = torch.rand(2, 1, 3, 8, 8)
    twice = [x.repeat_interleave(2, 2).repeat_interleave(2, 3)
             for x in (student, teacher)]
    # the squares sum to the same over four times as many positions
    torch.testing.assert_close(ATLoss()(*twice), ATLoss()(student, teacher) / 4)
