"""A student in fake int8: the numbers, the names, and what is left in float."""

from __future__ import annotations

import copy

import pytest
import torch
from distill_toys import TOY, build, losses_of
from mmcv.cnn import ConvModule
from torch import nn

from mmkd_ext.algorithms.quantized import Quantized, fixed, quantized_layers
from mmkd_ext.backbones import SmallWideResNet
from mmkd_ext.errors import ConfigError
from mmkd_ext.testing.toy import ToyModel, toy_batch


def quantized(seed=0, **more):
    torch.manual_seed(seed)
    return Quantized(dict(type=TOY), **more)


def one_layer(**more):
    """The first convolution of a toy, and inputs of a known range."""
    layer = quantized(**more).backbone.stages[0].conv
    x = torch.linspace(-1.0, 3.0, 3 * 8 * 8).reshape(1, 3, 8, 8)
    return layer, x


def slow_twin(x, low, high):
    """Rounds each number of a tensor to one of 256 steps, by hand."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / 255
    zero = round(-low / step)
    out = torch.empty_like(x)
    for i, value in enumerate(x.flatten().tolist()):
        level = min(max(round(value / step) + zero, 0), 255)
        out.view(-1)[i] = (level - zero) * step
    return out


def test_input_and_weights_are_what_integers_give():
    layer, x = one_layer()
    with torch.no_grad():
        y = layer(x)
        rounded = slow_twin(x, -1.0, 3.0)
        weight = layer.weight.clone()
        for channel in weight:
            step = channel.abs().max() / 127
            channel.copy_((channel / step).round() * step)
    wanted = nn.functional.conv2d(rounded, weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer.input_range, torch.tensor([-1.0, 3.0]))
    torch.testing.assert_close(y, wanted)
    assert not torch.equal(x, rounded)


def test_each_channel_of_the_weights_has_its_own_scale():
    layer, x = one_layer()
    layer(x)
    with torch.no_grad():
        layer.weight[0] *= 1000
        _, weight = layer.quantized(x, layer.weight)
        error = (weight - layer.weight).flatten(1).abs().amax(1)
    largest = layer.weight.detach().flatten(1).abs().amax(1)
    assert (error <= largest / 127 / 2 * 1.001).all()


def test_an_observed_range_moves_by_its_decay_and_rests_in_eval():
    layer, x = one_layer(decay=0.75)
    layer(x)
    layer(3 * x)
    # 0.75 * 3 + 0.25 * 9
    wanted = torch.tensor([-1.5, 4.5])
    torch.testing.assert_close(layer.input_range, wanted)
    layer.eval()(9 * x)
    layer.train().observing = False
    layer(9 * x)
    torch.testing.assert_close(layer.input_range, wanted)


def test_before_a_range_is_known_it_computes_in_float():
    layer, x = one_layer()
    plain = nn.functional.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)
    assert torch.equal(layer.eval()(x), plain)


def test_gradients_pass_the_rounding_inside_the_range():
    layer, x = one_layer()
    layer(x)
    x = torch.tensor([-5.0, 0.5, 5.0]).reshape(1, 1, 1, 3).requires_grad_()
    layer.observing = False
    layer.quantized(x, layer.weight)[0].sum().backward()
    assert x.grad.flatten().tolist() == [0.0, 1.0, 0.0]


def test_a_learned_range_has_the_gradient_of_the_paper():
    layer, x = one_layer(ranges='learned')
    layer(x)
    assert isinstance(layer.input_range, nn.Parameter)
    with torch.no_grad():
        layer.input_range.copy_(torch.tensor([0.0, 2.55]))
    # steps of 0.01: one number inside, one above, one below the range
    x = torch.tensor([0.014, 9.0, -1.0]).reshape(1, 1, 1, 3)
    layer.quantized(x, layer.weight)[0].sum().backward()
    # eq. 3: round(v / s) - v / s inside, Q_P above, Q_N below; the step is high / 255
    wanted = ((1 - 1.4) + 255 + 0) / 255 * (3 * 255) ** -0.5
    assert layer.input_range.grad[1].item() == pytest.approx(wanted, rel=1e-4)


def test_names_of_modules_and_weights_are_those_of_the_float_student():
    model, plain = quantized(), ToyModel()
    assert [*dict(model.named_modules())] == [*dict(plain.named_modules())]
    more = set(model.state_dict()) - set(plain.state_dict())
    assert more == {f'{name}.input_range' for name in quantized_layers(model)}
    convs = [n for n, m in plain.named_modules() if isinstance(m, nn.Conv2d)]
    assert [*quantized_layers(model)] == convs
    torch.manual_seed(0)
    again = ToyModel().state_dict()
    assert all(torch.equal(model.state_dict()[key], again[key]) for key in again)


def test_links_tap_a_quantised_student():
    algorithm = build(student=dict(type='mmkd_ext.Quantized', model=dict(type=TOY)))
    # what the dry run on a blank picture has seen is forgotten
    layers = quantized_layers(algorithm.architecture).values()
    assert not any(layer.input_range.any() for layer in layers)
    losses = losses_of(algorithm)
    assert all(layer.input_range.any() for layer in layers)
    plain = losses_of(build())
    assert losses['loss_x'] != plain['loss_x']
    assert losses['loss_x'].item() == pytest.approx(plain['loss_x'].item(), rel=0.1)
    losses['loss_x'].backward()
    assert algorithm.student.head.conv_seg.weight.grad.any()


def test_what_is_skipped_stays_in_float():
    model = quantized(skip=['head', 'backbone.stages.0'])
    names = set(quantized_layers(model))
    assert 'head_shared' in names
    assert names.isdisjoint({'head.conv', 'head.conv_seg', 'backbone.stages.0.conv'})


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(skip='head'), 'list of names'),
        (dict(skip=['haed']), 'Did you mean `head`'),
        (dict(ranges='seen'), "'observed', 'learned'"),
        (dict(decay=2), 'decay'),
        (dict(skip=[*dict(ToyModel().named_children())]), 'no layer that can be'),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        quantized(**settings)


def test_a_fixed_copy_has_no_norms_and_computes_the_same():
    model = quantized()
    for _ in range(2):
        model(**toy_batch(), mode='loss')
    # a negative factor turns the signs of a channel
    model.backbone.stages[0].norm.weight.data[0] = -0.5
    model.eval()
    before = copy.deepcopy(model.state_dict())
    deployed = fixed(model)
    norms = [m for m in deployed.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not norms
    x = toy_batch()['inputs']
    with torch.no_grad():
        torch.testing.assert_close(
            deployed(x, mode='tensor'), model(x, mode='tensor'), rtol=1e-4, atol=1e-5
        )
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)


def test_a_norm_behind_other_layers_than_a_convolution_stays():
    """The last one of a network that normalises before its convolutions."""
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    for model in (net, SmallWideResNet(10)):
        x = torch.randn(4, 3, 8, 8)
        model(x)
        wanted, found = model.eval()(x), fixed(model)(x)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'order', [('conv', 'norm', 'act'), ('conv', 'act', 'norm'), ('norm', 'conv', 'act')]
)
def test_a_norm_is_folded_only_where_it_is_called_right_after_the_convolution(order):
    torch.manual_seed(0)
    block = ConvModule(4, 4, 3, norm_cfg=dict(type='BN'), order=order)
    for values in (block.bn.weight, block.bn.bias, block.bn.running_mean):
        torch.nn.init.normal_(values)
    x = torch.randn(2, 4, 6, 6)
    wanted, deployed = block.eval()(x), fixed(block)
    torch.testing.assert_close(deployed(x), wanted)
    assert isinstance(deployed.bn, nn.Identity) == (order[1] == 'norm')


def test_a_fixed_copy_leaves_in_float_what_never_saw_a_picture():
    model = quantized()
    model(toy_batch()['inputs'], mode='tensor')
    # the auxiliary head has not run
    assert set(quantized_layers(model)) - set(quantized_layers(fixed(model))) == {
        'aux_head'
    }
