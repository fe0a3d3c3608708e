"""Batch normalisation on a stream."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd_ext.adaptation.norms import (
    AdaptiveBatchNorm,
    NormRecorder,
    batch_norms,
    learning,
    require_batch_norm,
    use_adaptive_norms,
)
from mmkd_ext.errors import ConfigError


def norm(channels=3, seed=0):
    torch.manual_seed(seed)
    layer = nn.BatchNorm2d(channels).eval()
    nn.init.uniform_(layer.weight)
    nn.init.uniform_(layer.bias)
    layer.running_mean.normal_()
    layer.running_var.uniform_(0.5, 2)
    return layer


def test_without_mixing_it_is_the_layer_bit_for_bit():
    layer, x = norm(), torch.randn(2, 3, 5, 5)
    for keep in (False, True):
        stream = AdaptiveBatchNorm(layer, 0.0, keep=keep)
        stream.learning = keep
        assert torch.equal(stream(x), layer(x))


def test_mixing_one_is_batch_normalisation_in_training():
    layer, x = norm(), torch.randn(2, 3, 5, 5)
    found = AdaptiveBatchNorm(layer, 1.0)(x)
    torch.testing.assert_close(found, layer.train()(x))


def test_the_mixture_by_hand():
    layer = norm(1)
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 1.0)
    layer.running_mean.fill_(1.0)
    layer.running_var.fill_(4.0)
    x = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2)  # mean 2, biased variance 4
    found = AdaptiveBatchNorm(layer, 0.25)(x)
    # mean 0.75 * 1 + 0.25 * 2, variance 4
    expected = 2 * (x - 1.25) / (4 + layer.eps) ** 0.5 + 1
    torch.testing.assert_close(found, expected)


def test_gradients_reach_the_statistics_of_the_batch():
    layer = norm().double()
    stream = AdaptiveBatchNorm(layer, 0.3)
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(stream, x)


def test_statistics_are_kept_while_learning_only():
    layer, x = norm(), torch.randn(1, 3, 4, 4)
    stream = AdaptiveBatchNorm(layer, 0.5, keep=True)
    before = layer.running_mean.clone()
    stream(x)
    assert torch.equal(layer.running_mean, before)
    with learning(nn.Sequential(stream)):
        stream(x)
    expected = 0.5 * before + 0.5 * x.mean((0, 2, 3))
    torch.testing.assert_close(layer.running_mean, expected)
    assert not stream.learning


def test_one_value_a_channel_has_no_variance_so_the_running_ones_are_used():
    layer, x = norm(), torch.randn(1, 3, 1, 1)
    assert torch.equal(AdaptiveBatchNorm(layer, 1.0)(x), layer(x))
    with pytest.raises(ValueError, match='more than 1 value'):
        layer.train()(x)


def test_state_dicts_fit_both_ways():
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    names = list(plain.state_dict())
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    use_adaptive_norms(model, 0.1)
    assert list(model.state_dict()) == names
    model.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(model.state_dict(), strict=True)


def test_train_mode_changes_nothing():
    layer, x = norm(), torch.randn(2, 3, 4, 4)
    stream = AdaptiveBatchNorm(layer, 0.3).train()
    assert torch.equal(stream(x), AdaptiveBatchNorm(layer, 0.3).eval()(x))


def test_sync_batch_norm_counts_and_works_without_a_gpu():
    model = nn.Sequential(nn.SyncBatchNorm(3))
    assert list(batch_norms(model)) == ['0']
    use_adaptive_norms(model, 1.0)
    assert model(torch.randn(1, 3, 4, 4)).shape == (1, 3, 4, 4)


def test_a_network_without_batch_norm_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match=r'has none\s+\(1 normalisation'):
        require_batch_norm(nn.Sequential(nn.GroupNorm(1, 2)), 'DoSeDistiller')


def test_few_layers_are_warned_about_with_the_count():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.LayerNorm(2), nn.LayerNorm(2))
    with pytest.warns(UserWarning, match=r'has 1 layer\(s\) beside 2'):
        assert require_batch_norm(model, 'X') == 1


@pytest.mark.parametrize('feature', ['input', 'output'])
def test_the_recorder_sees_the_statistics_with_their_graph(feature):
    layer = norm()
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    recorder = NormRecorder(feature)
    with recorder.recording(nn.Sequential(layer)) as found:
        y = layer(x)
    seen = x if feature == 'input' else y
    mean, var = found.statistics['0']
    torch.testing.assert_close(mean, seen.mean((0, 2, 3)))
    torch.testing.assert_close(var, seen.var((0, 2, 3), unbiased=False))
    assert mean.requires_grad
    layer(torch.zeros(1, 3, 1, 1))
    assert recorder.statistics['0'].mean is mean  # the hook is gone


def test_an_output_that_an_activation_overwrites_can_be_recorded():
    net = nn.Sequential(norm(), nn.ReLU(inplace=True))
    recorder = NormRecorder('output')
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    with recorder.recording(net):
        net(x)
    recorder.statistics['0'].var.sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize('size', [(4, 4), (1, 1)])
@pytest.mark.parametrize('mixing', [0.0, 0.5, 1.0])
def test_a_mixing_layer_tells_what_a_plain_one_shows(mixing, size):
    layer = norm()
    net = nn.Sequential(layer)
    x = torch.randn(1, 3, *size, requires_grad=True)
    plain, told = NormRecorder(), NormRecorder()
    with plain.recording(net):
        layer(x)
    (stream,) = use_adaptive_norms(net, mixing).values()
    alone = net(x)
    with told.recording(net):
        recorded = net(x)
    assert torch.equal(recorded, alone)
    torch.testing.assert_close(told.statistics['0'], plain.statistics['0'])
    wanted, found = (
        torch.autograd.grad(sum(v.sum() for v in r.statistics['0']), x)
        for r in (plain, told)
    )
    torch.testing.assert_close(found, wanted)
    assert stream.listener is None


def test_a_mixing_layer_keeps_the_type_of_half_inputs():
    layer = AdaptiveBatchNorm(norm(), 0.5)
    x = torch.randn(1, 3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    assert layer(x).dtype == torch.bfloat16
