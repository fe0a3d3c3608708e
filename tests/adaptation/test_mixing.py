"""The share of the picture's statistics that is found by itself."""

from __future__ import annotations

import math

import adapt_toys as toys
import pytest
import torch
from torch import nn

from mmkd_ext.adaptation.mixing import AutoMixing, build_mixing, relative_contrast
from mmkd_ext.adaptation.norms import NormRecorder, Statistics, use_adaptive_norms
from mmkd_ext.errors import ConfigError

SIZE = (16, 32)
BN = dict(type='mmkd_ext.BNStatsDistiller', statistics='mixed')
TENT = dict(type='mmkd_ext.TentDistiller', statistics='mixed')
#: The toy network has random weights: what it sees always looks faded to it.
AUTO = dict(mixing=dict(scale=0.5))


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(contrast=1.0):
    """Two layers for which `picture` has a contrast."""
    first, second = nn.BatchNorm2d(2, eps=0.0), nn.BatchNorm2d(2, eps=0.0)
    first.running_var.fill_(1 / contrast)
    second.running_var.fill_(1.0)
    net = nn.Sequential(first, second).eval()
    use_adaptive_norms(net, 0.0)
    return net


def picture():
    """Both channels have mean 0 and variance 1."""
    x = draw(1, 2, 8, 8)
    return (x - x.mean((2, 3), keepdim=True)) / x.var(
        (2, 3), keepdim=True, correction=0
    ).sqrt()


def look(mixing, net, x):
    def run(model, inputs):
        mixing.apply_to(model)
        return model(inputs)

    with torch.no_grad():
        mixing.look(run, net, x)
    return mixing.value


# ---- the signal -------------------------------------------------------------------


def test_contrast_equals_its_twin():
    """Plain loops, from the equation."""
    net = nn.Sequential(nn.BatchNorm2d(3, eps=0.1), nn.BatchNorm2d(2, eps=0.2))
    found, layers = {}, []
    for number, norm in enumerate(net):
        norm.running_var.copy_(draw(norm.num_features, seed=number).exp())
        var = draw(norm.num_features, seed=9 + number).exp()
        found[str(number)] = Statistics(var, var)
        logs = [
            math.log((new + norm.eps) / (old + norm.eps))
            for new, old in zip(var.tolist(), norm.running_var.tolist())
        ]
        layers.append(sum(logs) / len(logs))
    expected = math.exp(sum(layers) / 2)
    assert float(relative_contrast(net, found)) == pytest.approx(expected, rel=1e-5)


def test_half_the_contrast_is_a_quarter_of_the_variance():
    net, x = network(), picture()
    found = {}
    for share in (1.0, 0.5):
        recorder = NormRecorder()
        with recorder.recording(net), torch.no_grad():
            net(3 + share * x)
        found[share] = float(relative_contrast(net, recorder.statistics))
    assert found == {1.0: pytest.approx(1), 0.5: pytest.approx(0.25)}


def test_a_map_of_one_value_a_channel_tells_nothing():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    found = {'0': Statistics(torch.zeros(2), torch.ones(2))}
    expected = relative_contrast(net, found)
    found['1'] = Statistics(torch.ones(2), torch.zeros(2))
    assert relative_contrast(net, found) == expected
    del found['0']
    assert relative_contrast(net, found) == 1


# ---- the share --------------------------------------------------------------------


@pytest.mark.parametrize(
    ('contrast', 'share'), [(1.0, 0.0), (4.0, 0.0), (0.25, 0.375), (1e-6, 0.5)]
)
def test_the_more_faded_a_picture_is_the_more_of_its_statistics_count(contrast, share):
    found = look(AutoMixing(), network(contrast), picture())
    assert found == pytest.approx(share, abs=1e-5)


def test_the_scale_is_the_most_that_is_taken():
    assert look(AutoMixing(0.25), network(0.25), picture()) == pytest.approx(0.1875)


def test_a_picture_that_is_not_finite_is_left_to_the_source():
    mixing, x = AutoMixing(), picture()
    assert look(mixing, network(0.25), x) > 0
    assert look(mixing, network(0.25), x * float('nan')) == 0


def test_the_picture_before_has_no_say():
    mixing, net = AutoMixing(), network(0.25)
    first = look(mixing, net, picture())
    look(mixing, net, 0.01 * picture())
    assert look(mixing, net, picture()) == first


# ---- in a stream ------------------------------------------------------------------


def adapted(distiller, lr=0.01, images=3):
    built = toys.model(distiller)
    trains = built.distiller.trains
    optim = toys.wrapper(built, lr, torch.optim.Adam) if trains else None
    return built, toys.stream(built, optim, images=images, size=SIZE)


@pytest.mark.mmseg
@pytest.mark.parametrize(
    'distiller',
    [
        BN,
        TENT,
        dict(type='mmkd_ext.DIGADistiller', threshold=0.2),
        dict(type='mmkd_ext.EMATeacherDistiller', views=[1.0, 'flip']),
        dict(type='mmkd_ext.DoSeDistiller'),
    ],
)
def test_the_share_that_was_found_normalises_as_if_it_were_given(distiller):
    built, found = adapted(distiller | AUTO, images=1)
    share = built.distiller.mixing.value
    assert share > 0.01
    assert torch.equal(found[0], adapted(dict(distiller, mixing=share), images=1)[1][0])


@pytest.mark.mmseg
def test_what_was_learned_has_no_say():
    plain, _ = adapted(BN | AUTO)
    spoilt, _ = adapted(TENT | AUTO, lr=1.0)
    assert spoilt.distiller.mixing.value == plain.distiller.mixing.value


@pytest.mark.mmseg
def test_a_step_costs_one_pass_more():
    forwards = [
        toys.model(dict(BN, mixing=mixing))
        .adapt_step(toys.batch(0, SIZE))
        .counts['forwards']
        for mixing in (0.5, 'auto')
    ]
    assert forwards == [1, 2]


@pytest.mark.mmseg
def test_a_plain_test_finds_the_share_of_its_own_picture():
    built, other = toys.model(BN | AUTO), toys.model(BN | AUTO)
    built.adapt_step(toys.batch(1, SIZE))
    first, second = (
        model.test_step(toys.batch(0, SIZE))[0].seg_logits.data
        for model in (built, other)
    )
    assert torch.equal(first, second)


@pytest.mark.mmseg
def test_a_network_without_batch_norm_has_nothing_to_mix():
    settings = dict(type='mmkd_ext.EMATeacherDistiller', mixing='auto')
    built = toys.model(settings, norm='GN')
    assert built.distiller.describe()['mixing'] == 0


# ---- settings ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ('mixing', 'message'),
    [
        ('automatic', "'auto'"),
        (dict(scales=0.1), 'scale'),
        (dict(scale=2), 'mixing.scale'),
        (1.5, 'mixing'),
    ],
)
def test_wrong_settings_say_what_is_wrong(mixing, message):
    with pytest.raises(ConfigError, match=message):
        build_mixing(mixing)


def test_statistics_that_are_kept_are_not_searched_for():
    from mmkd_ext.adaptation import BNStatsDistiller

    with pytest.raises(ConfigError, match='mixed'):
        BNStatsDistiller('ema', mixing='auto')
