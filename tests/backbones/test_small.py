"""The networks for pictures of 32 x 32, against what is known of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmkd_ext.backbones import (
    MobileNetV1,
    SmallMobileNetV2,
    SmallResNet,
    SmallWideResNet,
)
from mmkd_ext.errors import ConfigError

WIDE = (32, 64, 128, 256)

#: Millions of parameters with a classifier of 10 classes, in the tables of He et al.
#: 2016 and of Zagoruyko and Komodakis 2016.
PUBLISHED = [
    (lambda: SmallResNet(20, shortcut='pad'), 64, '0.27'),
    (lambda: SmallResNet(56, shortcut='pad'), 64, '0.85'),
    (lambda: SmallResNet(110, shortcut='pad'), 64, '1.7'),
    (lambda: SmallWideResNet(40, 2), 128, '2.2'),
    (lambda: SmallWideResNet(16, 2), 128, '0.7'),
]


@pytest.mark.parametrize(('build', 'width', 'millions'), PUBLISHED)
def test_has_as_many_parameters_as_published(build, width, millions):
    count = sum(p.numel() for p in build().parameters()) + (width + 1) * 10
    decimals = len(millions.split('.')[1])
    assert f'{count / 1e6:.{decimals}f}' == millions


def test_mobilenet_has_as_many_parameters_and_multiplications_as_published():
    """Table 8 of the paper: 4.2 million parameters, 569 million multiply-adds."""
    net, work = MobileNetV1(), [1024 * 1000]
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda conv, _, out: work.append(conv.weight[0].numel() * out.numel())
            )
    with torch.no_grad():
        net(torch.zeros(1, 3, 224, 224))
    count = sum(p.numel() for p in net.parameters()) + 1025 * 1000
    assert f'{count / 1e6:.1f}' == '4.2'
    assert round(sum(work) / 1e6) == 569


@pytest.mark.parametrize(
    ('build', 'shapes'),
    [
        (lambda: SmallResNet(8, WIDE), [(64, 32), (128, 16), (256, 8)]),
        (lambda: SmallResNet(8, shortcut='pad'), [(16, 32), (32, 16), (64, 8)]),
        (lambda: SmallWideResNet(10), [(16, 32), (32, 16), (64, 8)]),
        (
            lambda: MobileNetV1((0, 1, 2, 3)),
            [(128, 8), (256, 4), (512, 2), (1024, 1)],
        ),
        (
            lambda: SmallMobileNetV2(out_indices=(0, 1, 2, 3, 4)),
            [(12, 16), (16, 8), (48, 4), (160, 2), (1280, 2)],
        ),
    ],
)
def test_returns_a_map_a_stage(build, shapes):
    maps = build()(torch.zeros(2, 3, 32, 32))
    assert [tuple(x.shape) for x in maps] == [(2, c, s, s) for c, s in shapes]


def test_activated_maps_follow_from_those_before_their_activation():
    torch.manual_seed(0)
    net, seen = SmallResNet(14).eval(), []
    net.preact.register_forward_hook(lambda module, args, output: seen.append(output))
    maps = net(torch.randn(1, 3, 32, 32))
    assert len(seen[0]) == 3
    for before, after in zip(seen[0], maps):
        assert before.min() < 0
        assert torch.equal(after, before.relu())


def test_a_wide_net_activates_the_map_of_the_classifier_alone():
    torch.manual_seed(0)
    net, seen = SmallWideResNet(10).eval(), []
    net.preact.register_forward_hook(lambda module, args, output: seen.append(output))
    maps = net(torch.randn(1, 3, 32, 32))
    assert torch.equal(maps[0], seen[0][0])
    assert torch.equal(maps[2], F.relu(net.bn1(seen[0][2])))


def test_the_shortcut_without_parameters_takes_every_second_pixel():
    block = SmallResNet(8, shortcut='pad').layer2[0]
    x = torch.randn(1, 16, 4, 4)
    kept = block.shortcut(x)
    assert torch.equal(kept[:, 8:24], x[:, :, ::2, ::2])
    assert not kept[:, :8].any()
    assert not kept[:, 24:].any()
    assert not list(block.shortcut.parameters())


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: SmallResNet(18), r'`depth` of `SmallResNet` must be 6 n \+ 2'),
        (lambda: SmallWideResNet(20), r'must be 6 n \+ 4, as 10 or 22'),
        (lambda: SmallResNet(8, (16, 32)), '`widths` must be four numbers'),
        (lambda: SmallResNet(8, shortcut='none'), "'none'"),
        (lambda: SmallResNet(8, out_indices=(3,)), 'from 0 to 2'),
        (lambda: SmallResNet(8, out_indices=(2, 0)), 'rising numbers'),
        (lambda: SmallMobileNetV2(widen=0), 'widen'),
    ],
)
def test_says_what_is_wrong(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
