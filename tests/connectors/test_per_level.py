"""PerLevel gives each level its connector."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.connectors import PerLevel
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.registry import MODELS

ADAPTER = dict(type='mmkd_ext.ConvAdapter', in_channels=2, out_channels=3)


def maps(levels=3, channels=2):
    return tuple(torch.randn(2, channels, 2**i, 2**i) for i in range(levels, 0, -1))


def test_keeps_the_size_of_each_level():
    out = PerLevel(ADAPTER, levels=3)(maps())
    assert isinstance(out, tuple)
    assert [tuple(x.shape) for x in out] == [(2, 3, 8, 8), (2, 3, 4, 4), (2, 3, 2, 2)]


def test_each_level_has_weights_of_its_own():
    per_level = PerLevel(ADAPTER, levels=3)
    assert len(per_level.connectors) == 3
    x = torch.randn(2, 2, 4, 4)
    first, second, third = per_level((x, x, x))
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    torch.testing.assert_close(second, per_level.connectors[1](x))


def test_a_shared_connector_is_one_for_all_levels():
    per_level = PerLevel(ADAPTER, levels=3, shared=True)
    assert len(per_level.connectors) == 1
    x = torch.randn(2, 2, 4, 4)
    first, second, third = per_level([x, x, x])
    assert torch.equal(first, second)
    assert torch.equal(second, third)


@pytest.mark.parametrize('shared', [False, True])
def test_one_level_is_a_pyramid_too(shared):
    (out,) = PerLevel(ADAPTER, levels=1, shared=shared)(maps(1))
    assert out.shape == (2, 3, 2, 2)


def test_gradients_reach_every_connector():
    per_level = PerLevel(ADAPTER, levels=3)
    sum(x.sum() for x in per_level(maps())).backward()
    assert all(p.grad is not None for p in per_level.parameters())


def test_leaves_the_config_as_it_was():
    config = dict(ADAPTER)
    PerLevel(config, levels=2)
    assert config == ADAPTER


@pytest.mark.parametrize(('pyramid', 'found'), [
    (maps(2), '2 levels'), (maps(4), '4 levels'), ((), '0 levels'),
    (torch.zeros(3, 2, 4, 4), 'Tensor')])
def test_refuses_another_number_of_levels(pyramid, found):
    with pytest.raises(ShapeError, match=rf'levels=3, but got {found}; set `levels`'):
        PerLevel(ADAPTER, levels=3)(pyramid)


def test_refuses_other_channels():
    with pytest.raises(ShapeError, match=r'`ConvAdapter` takes \(n 2 h w\), but got'):
        PerLevel(ADAPTER, levels=2)(maps(2, channels=4))


@pytest.mark.parametrize('levels', [0, -1, 2.0, '3', None])
def test_refuses_what_is_no_number_of_levels(levels):
    with pytest.raises(ConfigError, match=r'`PerLevel\.levels` must be an integer'):
        PerLevel(ADAPTER, levels=levels)


def test_is_registered():
    config = dict(type='mmkd_ext.PerLevel', levels=2, connector=ADAPTER)
    per_level = MODELS.build(config)
    assert isinstance(per_level, PerLevel)
