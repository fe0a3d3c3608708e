"""Tokens become the maps that they were cut from."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from mmkd_ext.connectors import TokensToMap
from mmkd_ext.errors import ConfigError, ShapeError


def patches(image, stride):
    """Cuts an image into patches line by line, and gives each its mean as a token."""
    n, c, height, width = image.shape
    tokens = [
        image[:, :, top : top + stride, left : left + stride].mean((2, 3))
        for top in range(0, height, stride)
        for left in range(0, width, stride)
    ]
    assert tokens[0].shape == (n, c)
    return torch.stack(tokens, 1)


def test_each_token_comes_to_its_patch():
    image = torch.arange(2 * 3 * 4 * 8.0).reshape(2, 3, 4, 8)
    found = TokensToMap(stride=2)(patches(image, 2), image)
    assert torch.equal(found, nn.functional.avg_pool2d(image, 2))


def test_a_part_of_a_patch_at_the_border_is_one():
    image = torch.zeros(1, 3, 5, 9)
    assert TokensToMap(stride=2)(patches(image, 2), image).shape == (1, 3, 3, 5)


def test_without_a_stride_the_map_is_square():
    assert TokensToMap()(torch.zeros(2, 9, 4)).shape == (2, 4, 3, 3)


def test_leading_tokens_are_left_out():
    tokens = torch.arange(5.0).reshape(1, 5, 1)
    assert TokensToMap(leading=1)(tokens).flatten().tolist() == [1, 2, 3, 4]


def test_several_layers_stay_several():
    layers = (torch.zeros(1, 4, 3), torch.zeros(1, 4, 3))
    assert [x.shape for x in TokensToMap()(layers)] == [(1, 3, 2, 2)] * 2


def test_the_map_goes_through_the_next_connector():
    connector = dict(type='mmkd_ext.ConvAdapter', in_channels=3, out_channels=5)
    made = MODELS.build(
        dict(type='mmkd_ext.TokensToMap', leading=1, connector=connector)
    )
    assert made(torch.zeros(2, 5, 3)).shape == (2, 5, 2, 2)


def test_gradients_reach_every_token_but_the_leading():
    tokens = torch.zeros(1, 5, 2, requires_grad=True)
    TokensToMap(leading=1)(tokens).sum().backward()
    assert tokens.grad[0, :, 0].tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ('connector', 'tokens', 'inputs', 'match'),
    [
        (TokensToMap(), (1, 10, 2), None, 'no square map.* set `leading=1`'),
        (TokensToMap(leading=1), (1, 11, 2), None, 'set `leading=2`'),
        (TokensToMap(), (1, 8, 2), None, 'If the images are not square'),
        (TokensToMap(stride=2), (1, 8, 2), None, 'needs the images'),
        (TokensToMap(stride=2), (1, 9, 2), (1, 3, 4, 8), '2 x 4.*set `leading=1`'),
        (TokensToMap(stride=2), (1, 30, 2), (1, 3, 4, 8), 'there are 30 tokens.$'),
        (TokensToMap(), (1, 2, 3, 3), None, 'a map needs no such'),
        (TokensToMap(leading=3), (1, 2, 3), None, 'no square map'),
    ],
)
def test_says_what_is_wrong(connector, tokens, inputs, match):
    images = None if inputs is None else torch.zeros(inputs)
    with pytest.raises(ShapeError, match=match):
        connector(torch.zeros(tokens), images)


@pytest.mark.parametrize('wrong', [dict(stride=0), dict(stride=1.5), dict(leading=-1)])
def test_settings_are_whole_numbers(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TokensToMap(**wrong)
