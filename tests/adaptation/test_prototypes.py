"""Statistics of a domain: how far apart they are, and to which one an image belongs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mmkd_ext.adaptation.bn_distance import FLOOR, RelativeDistance
from mmkd_ext.adaptation.channel_moments import channel_moments
from mmkd_ext.adaptation.norms import NormRecorder
from mmkd_ext.adaptation.prototypes import DomainPrototypes
from mmkd_ext.errors import ConfigError

pytestmark = pytest.mark.mmseg


def norms(*variances, eps=0.0):
    """A network of batch norms with the given running variances."""
    layers = []
    for values in variances:
        layer = nn.BatchNorm2d(len(values), eps=eps)
        layer.running_var.copy_(torch.tensor(values))
        layers.append(layer)
    return nn.Sequential(*layers).eval()


def distance(*variances, **settings):
    names = [str(i) for i in range(len(variances))]
    return RelativeDistance(norms(*variances, **settings), names)


# ---- moments ----------------------------------------------------------------------


@pytest.mark.parametrize('shape', [(2, 3, 4, 5), (1, 3, 1, 1), (4, 3), (2, 3, 7)])
def test_moments_and_their_gradients_are_those_of_torch(shape):
    x = (5 + torch.randn(shape, dtype=torch.float64)).requires_grad_()
    dims = [0, *range(2, x.dim())]
    plain = torch.var_mean(x, dims, unbiased=False)
    for ours, theirs in zip(channel_moments(x), reversed(plain)):
        torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(channel_moments, x)


def test_moments_of_half_inputs_are_in_float():
    x = (300 + torch.randn(1, 2, 8, 8)).to(torch.bfloat16)
    mean, var = channel_moments(x.to(memory_format=torch.channels_last))
    assert mean.dtype == var.dtype == torch.float32
    torch.testing.assert_close(mean, x.float().mean((0, 2, 3)))


# ---- distance ---------------------------------------------------------------------


def test_the_distance_is_relative_to_the_source_and_a_mean_over_channels_and_layers():
    measure = distance([4.0], [1.0, 2.0])
    ours = torch.tensor([[2.0, 0.0, 2.0], [4.0, 1.0, 4.0]])
    theirs = torch.tensor([[0.0, 0.0, 0.0], [4.0, 3.0, 2.0]])
    # first layer 4/4; second (0 + 2^2, 4/2 + 1^2) / 2
    expected = (1.0 + (4.0 + 3.0) / 2) / 2
    assert measure(ours, theirs).item() == pytest.approx(expected)


def test_a_channel_that_the_source_did_not_use_counts_like_a_weak_one():
    measure = distance([1.0, 0.0])
    assert measure.scale.tolist() == pytest.approx([1.0, FLOOR * 0.5])


def test_a_layer_without_any_variance_is_measured_by_its_eps():
    assert distance([0.0], eps=0.5).scale.tolist() == [0.5]


def test_the_scale_of_an_output_is_the_square_of_the_weight():
    net = norms([4.0, 9.0])
    net[0].weight.data = torch.tensor([3.0, -2.0])
    assert RelativeDistance(net, ['0'], 'output').scale.tolist() == [9.0, 4.0]
    plain = nn.Sequential(nn.BatchNorm2d(2, affine=False))
    assert RelativeDistance(plain, ['0'], 'output').scale.tolist() == [1.0, 1.0]


@given(
    factor=st.floats(0.1, 10.0),
    seed=st.integers(0, 100),
    channels=st.integers(1, 5),
)
def test_the_unit_of_a_layer_and_its_width_do_not_matter(factor, seed, channels):
    generator = torch.Generator().manual_seed(seed)
    variance = torch.rand(channels, generator=generator) + 0.5
    ours, theirs = torch.rand(2, 2, channels, generator=generator)
    plain = distance(variance.tolist())(ours, theirs)
    unit = torch.tensor([[factor], [factor**2]])
    scaled = distance((variance * factor**2).tolist())(unit * ours, unit * theirs)
    torch.testing.assert_close(scaled, plain, rtol=1e-3, atol=1e-5)
    twice = distance([*variance.tolist()] * 2)
    doubled = twice(ours.repeat(1, 2), theirs.repeat(1, 2))
    torch.testing.assert_close(doubled, plain, rtol=1e-3, atol=1e-5)
    assert distance(variance.tolist())(ours, ours).item() == 0


def test_the_source_keeps_its_own_statistics():
    net = norms([1.0])
    measure = RelativeDistance(net, ['0'])
    net[0].running_var.fill_(5.0)
    assert measure.scale.tolist() == [1.0]


def test_gradients_reach_what_was_recorded():
    net = norms([1.0, 1.0])
    recorder = NormRecorder()
    x = torch.randn(2, 2, 3, 3, requires_grad=True)
    with recorder.recording(net):
        net(x)
    measure = RelativeDistance(net, list(recorder.statistics))
    measure(measure.stack(recorder.statistics), torch.zeros(2, 2)).backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize('feature', ['input', 'output'])
def test_several_passes_are_recorded_as_one_batch(feature):
    net = norms([2.0, 3.0])
    net[0].weight.data.fill_(2.0)
    recorder = NormRecorder(feature)
    pieces = [torch.randn(n, 2, h, 5) for n, h in ((1, 4), (3, 2), (2, 7))]
    for _ in range(2):
        with recorder.recording(net):
            for piece in pieces:
                net(piece)
    values = pieces if feature == 'input' else [net(piece) for piece in pieces]
    flat = torch.cat([v.transpose(0, 1).flatten(1) for v in values], 1)
    mean, var = recorder.statistics['0']
    torch.testing.assert_close(mean, flat.mean(1))
    torch.testing.assert_close(var, flat.var(1, unbiased=False))


# ---- prototypes -------------------------------------------------------------------


def test_a_domain_starts_with_its_first_batch_and_follows_by_its_momentum():
    prototypes = DomainPrototypes(momentum=0.25)
    first, second = torch.full((2, 3), 4.0), torch.full((2, 3), 8.0)
    prototypes.update('fog', first)
    assert torch.equal(prototypes.of('fog', second), first)
    prototypes.update('fog', second)
    assert prototypes.of('fog', second).unique().tolist() == [5.0]
    prototypes.update('night', second)
    assert torch.equal(prototypes.of('night', first), second)


def test_before_the_first_batch_the_default_stands_in():
    default = torch.ones(2, 3)
    assert torch.equal(DomainPrototypes().of('fog', default), default)


def test_prototypes_have_no_graph():
    prototypes = DomainPrototypes()
    for _ in range(2):
        prototypes.update('fog', torch.ones(2, 3, requires_grad=True) * 2)
    assert not prototypes.found['fog'].requires_grad


def test_the_domain_is_known_or_one_for_all():
    assert DomainPrototypes('known').name_of('fog') == 'fog'
    assert DomainPrototypes('single').name_of('fog') == 'all'
    with pytest.raises(ConfigError, match='domain'):
        DomainPrototypes('known').name_of(None)


def around(mean, generator):
    return torch.stack(
        [mean + 0.05 * torch.randn(2, generator=generator), torch.ones(2)]
    )


def test_two_clearly_different_domains_are_detected_and_recognised():
    measure = distance([1.0, 1.0])
    prototypes = DomainPrototypes('detected', threshold=0.5)
    generator = torch.Generator().manual_seed(0)
    named = []
    for truth in (0, 0, 0, 3, 3, 0, 3, 0):
        statistics = around(float(truth), generator)
        named.append(prototypes.name_of(None, statistics, measure))
        prototypes.update(named[-1], statistics)
    first, second = 'domain 1', 'domain 2'
    assert named == [first] * 3 + [second] * 2 + [first, second, first]
    report = prototypes.distances(measure)
    assert report['names'] == [first, second]
    assert report['distances'][0][0] == 0
    assert report['distances'][0][1] == report['distances'][1][0]
    # the means are 3 standard deviations apart
    assert report['distances'][0][1] == pytest.approx(9.0, rel=0.1)


def test_asking_for_a_domain_changes_nothing_and_the_stream_s_name_is_not_used():
    measure = distance([1.0])
    prototypes = DomainPrototypes('detected')
    statistics = torch.ones(2, 1)
    assert prototypes.name_of('fog', statistics, measure) == 'domain 1'
    assert not prototypes.found


def test_no_more_domains_than_the_limit():
    measure = distance([1.0])
    prototypes = DomainPrototypes('detected', threshold=0.1, limit=2)
    for value in (0.0, 10.0, 12.0):
        statistics = torch.tensor([[value], [1.0]])
        name = prototypes.name_of(None, statistics, measure)
        prototypes.update(name, statistics)
    assert name == 'domain 2'


def test_saved_prototypes_go_on_and_a_saved_state_stays_as_it_is():
    ours, theirs = DomainPrototypes(), DomainPrototypes()
    ours.update('fog', torch.ones(2, 3))
    ours.layers = ['bn1']
    state = ours.state_dict()
    ours.update('fog', torch.zeros(2, 3))
    theirs.load_state_dict(state)
    assert torch.equal(theirs.found['fog'], torch.ones(2, 3))
    assert theirs.layers == ['bn1']
    ours.reset()
    assert not ours.found


@pytest.mark.parametrize(
    'wrong', [{'domains': 'detcted'}, {'momentum': 0.0}, {'threshold': 0}, {'limit': 0}]
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DomainPrototypes(**wrong)
