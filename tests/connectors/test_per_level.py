"""PerLevel gives each level its connector."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.connectors import PerLevel
from mmkd_ext.errors import ConfigError, ShapeError

ADAPTER = dict(type='mmkd_ext.ConvAdapter', in_channels=2, out_channels=3)


def maps(levels=3, channels=2):
    return tuple(torch.randn(2, channels, 2**i, 2**i) for i in range(levels, 0, -1))


def test_keeps_the_size_of_each_level():
    out = PerLevel(ADAPTER, levels=3)(maps())
    assert isinstance(out, tuple)
    assert [tuple(x.shape) for x in out] == [(2, 3, 8, 8), (2, 3, 4, 4), (2, 3, 2, 2)]


@pytest.mark.parametrize('shared', [False, True])
def test_each_level_has_weights_of_its_own_unless_shared(shared):
    per_level = PerLevel(ADAPTER, levels=3, shared=shared)
    assert len(per_level.connectors) == (1 if shared else 3)
    x = torch.randn(2, 2, 4, 4)
    first, second, third = per_level((x, x, x))
    assert torch.equal(first, second) is torch.equal(second, third) is shared
    torch.testing.assert_close(second, per_level.connectors[not shared](x))


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
    with pytest.raises(ShapeError, match=f'but got {found}'):
        PerLevel(ADAPTER, levels=3)(pyramid)


def test_refuses_no_levels():
    with pytest.raises(ConfigError, match=r'`PerLevel\.levels`'):
        PerLevel(ADAPTER, levels=0)
