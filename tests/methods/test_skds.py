"""SKDS: cases for the laws, and what is special to the class."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import SKDSPairwiseLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

# By hand. Two regions, one pixel each; orthogonal for the student, equal for the
# teacher: of the four cosines two differ, by 1.
STUDENT = [[[[1.0, 0.0]], [[0.0, 1.0]]]]
TEACHER = [[[[2.0, 3.0]]]]
TURN = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0),
                                   dtype=torch.float64))[0]

CASES = [
    LossCase(
        SKDSPairwiseLoss,
        inputs=pair(2, 3, 4, 5, teacher=(2, 4, 4, 5)),
        free_axes=[1],
        invariances={'a positive factor': lambda x: 3 * x},
        values=[KnownValue(STUDENT, TEACHER, 0.5, '(1 + 1) / 2**2 by hand')],
        exempt={'gradients_are_right':
                'lengths are constants in the backward pass, as in the authors\' code'},
    ),
    LossCase(
        SKDSPairwiseLoss, {'norm_gradient': True},
        inputs=pyramid((2, 3, 4, 4), (2, 3, 3, 3)), free_axes=[1]),
    LossCase(
        # every pixel a region, more of them than channels: the Gram form
        SKDSPairwiseLoss, {'scale': 0.01, 'norm_gradient': True},
        inputs=pair(2, 3, 3, 4, teacher=(2, 2, 3, 4)), free_axes=[1],
        invariances={'a rotation of the features': lambda x: torch.einsum(
            'dc,nchw->ndhw', TURN.to(x), x)}),
]


@pytest.mark.parametrize(('size', 'regions'), [
    ((8, 8), 4), ((65, 65), 9), ((7, 8), 6), ((1, 1), 1), ((1, 2), 2)])
def test_regions_are_two_by_two_or_three_where_the_size_is_odd(size, regions):
    # a student of one direction and a teacher of as many as there are regions: all
    # but the diagonal differ by 1
    windows = [max(1, side // 2) for side in size]
    rows, cols = (-(-side // window) for side, window in zip(size, windows))
    assert rows * cols == regions
    teacher = torch.eye(regions).reshape(1, regions, rows, cols)
    teacher = teacher.repeat_interleave(windows[0], 2).repeat_interleave(windows[1], 3)
    loss = SKDSPairwiseLoss()(torch.ones(1, 2, *size),
                              teacher[:, :, :size[0], :size[1]])
    torch.testing.assert_close(loss.item(), 1 - 1 / regions)


def test_a_region_is_its_strongest_activation():
    # by hand: max of (1, 5) and (4, 2) for channel 0; (0, 3) and (0, 0) for channel 1
    student = torch.tensor([[[1.0, 5.0, 4.0, 2.0]], [[0.0, 3.0, 0.0, 0.0]]])[None]
    cosine = 5 / 34**0.5
    loss = SKDSPairwiseLoss()(student, torch.ones(1, 1, 1, 4))
    torch.testing.assert_close(loss.item(), 2 * (1 - cosine)**2 / 4)


def test_both_ways_to_differentiate_have_one_value():
    student, teacher = torch.randn(2, 2, 3, 5, 7)
    torch.testing.assert_close(SKDSPairwiseLoss(norm_gradient=True)(student, teacher),
                               SKDSPairwiseLoss()(student, teacher))


def test_constant_lengths_turn_the_gradient_away_from_the_sphere():
    student, teacher = torch.randn(2, 1, 3, 5, 7)
    radial = []
    for through in (False, True):
        leaf = student.clone().requires_grad_()
        SKDSPairwiseLoss(scale=0.01, norm_gradient=through)(leaf, teacher).backward()
        radial.append((leaf.grad * leaf).sum(1).abs().max())
    assert radial[1] < 1e-6 < radial[0]


@pytest.mark.parametrize('scale', [0, -0.5, 1.5, '0.5'])
def test_refuses_a_scale_beyond_the_map(scale):
    with pytest.raises(ConfigError, match='`scale` must be a number > 0 and <= 1'):
        SKDSPairwiseLoss(scale=scale)


def test_channels_may_differ_as_they_are():
    assert SKDSPairwiseLoss.any_shape == {'channels'}
    assert SKDSPairwiseLoss.alignable == {'size'}
