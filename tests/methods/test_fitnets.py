"""FitNets: cases for the laws."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.methods import FitNetsLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

CASES = [
    LossCase(
        FitNetsLoss,
        values=[KnownValue([[1.0, 2.0], [0.0, -1.0]], [[3.0, 2.0], [0.0, 2.0]],
                           13 / 4, '(4 + 0 + 0 + 9) / 4 by hand')],
    ),
    LossCase(FitNetsLoss, inputs=pair(4, 6), name='vectors'),
    LossCase(FitNetsLoss, inputs=pyramid((2, 3, 4, 4), (2, 3, 2, 2)), name='pyramid'),
]


@pytest.mark.parametrize(('shape', 'difference'), [((1, 1), -1.5), ((2, 3, 5, 7), 3.0)])
def test_a_constant_difference_is_squared_whatever_the_size(shape, difference):
    teacher = torch.randn(shape, dtype=torch.float64)
    loss = FitNetsLoss()(teacher + difference, teacher)
    torch.testing.assert_close(loss.item(), difference**2)
