"""ConvAdapter changes the channels and nothing else."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.connectors import ConvAdapter
from mmkd_ext.errors import ConfigError, ShapeError


@pytest.mark.parametrize('kernel_size', [1, 3, 5])
@pytest.mark.parametrize('size', [(4, 6), (1, 1)])
def test_changes_the_channels_and_keeps_the_size(kernel_size, size):
    adapter = ConvAdapter(2, 5, kernel_size)
    assert adapter(torch.zeros(3, 2, *size)).shape == (3, 5, *size)


def test_one_by_one_is_a_matrix_on_each_pixel():
    adapter = ConvAdapter(2, 3)
    x = torch.randn(2, 2, 3, 4)
    matrix = adapter.conv.weight[:, :, 0, 0]
    wanted = torch.einsum('dc,nchw->ndhw', matrix, x) + adapter.conv.bias.view(3, 1, 1)
    torch.testing.assert_close(adapter(x), wanted)


def test_without_norm_and_act_it_reaches_negative_values():
    assert (ConvAdapter(2, 8)(torch.randn(2, 2, 4, 4)) < 0).any()
    assert (ConvAdapter(2, 8, act=True)(torch.randn(2, 2, 4, 4)) >= 0).all()


def test_with_norm_the_convolution_has_no_bias_and_the_output_is_normal():
    adapter = ConvAdapter(2, 3, norm=True)
    assert adapter.conv.bias is None
    out = adapter(torch.randn(8, 2, 8, 8))
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)


def test_may_start_near_zero():
    # a normal number wrapped into (-2, 2), times 1e-4: the variance is the integral
    # of fmod(x, 2)^2 over the normal density, 0.7497
    adapter = ConvAdapter(160, 160, 3, act=True, init_std=1e-4)
    weight = adapter.conv.weight.detach().double() * 1e4
    x = torch.linspace(-8, 8, 160001, dtype=torch.float64)
    density = torch.exp(-(x**2) / 2) / (2 * torch.pi) ** 0.5
    variance = torch.trapezoid(x.fmod(2) ** 2 * density, x)
    assert weight.abs().max() < 2
    assert weight.mean().abs() < 0.01
    assert variance.item() == pytest.approx(0.7497, abs=1e-4)
    assert weight.var().item() == pytest.approx(variance.item(), rel=0.02)
    assert not adapter.conv.bias.any()
    assert ConvAdapter(2, 3, norm=True, init_std=1e-4).conv.weight.abs().max() < 2e-4


@pytest.mark.parametrize(
    ('settings', 'name'),
    [
        *((dict(init_std=value), 'init_std') for value in (0, -1.0, float('nan'))),
        *((dict(kernel_size=value), 'kernel_size') for value in (2, 4)),
    ],
)
def test_refuses_wrong_settings(settings, name):
    with pytest.raises(ConfigError, match=f'`{name}`'):
        ConvAdapter(2, 3, **settings)


def test_a_bias_is_a_choice():
    assert ConvAdapter(2, 3).conv.bias is not None
    assert ConvAdapter(2, 3, bias=False).conv.bias is None
    assert ConvAdapter(2, 3, bias=True, norm=True).conv.bias is None


@pytest.mark.parametrize('shape', [(1, 3, 4, 4), (1, 2, 4), (2, 4, 4)])
def test_refuses_another_feature(shape):
    with pytest.raises(ShapeError, match='`in_channels`'):
        ConvAdapter(2, 3)(torch.zeros(shape))


