"""MGD and PKD beside MMRazor's: equal where it is right, and where not, why not."""

from __future__ import annotations

import importlib

import pytest
import torch

pytest.importorskip('mmrazor', reason='compares with MMRazor')

from mmkd_ext import compat
from mmkd_ext.distillers.alignment import plan_alignment
from mmkd_ext.errors import ShapeError
from mmkd_ext.methods import MGDConnector, MGDLoss, PKDLoss

compat.apply()
# not skipped: where MMRazor is installed, it must be importable
losses = importlib.import_module('mmrazor.models.losses')
connectors = importlib.import_module('mmrazor.models.architectures.connectors')

N, C, H, W = 2, 5, 6, 4


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [2 * torch.randn(shape, generator=generator, dtype=torch.float64) + 1
            for _ in range(2)]


def value_and_gradient(loss, student, teacher):
    student = student.clone().requires_grad_()
    value = loss(student, teacher)
    value.backward()
    return value.detach(), student.grad


def both_connectors(channels, in_channels, ratio, mask):
    theirs = connectors.MGDConnector(in_channels, channels, ratio, mask == 'channel')
    ours = MGDConnector(channels, ratio, mask, in_channels=in_channels)
    # names agree, so their checkpoints load
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


@pytest.mark.parametrize('in_channels', [C, 3])
@pytest.mark.parametrize('ratio', [0.0, 0.45, 0.65, 1.0])
def test_mgd_equals_mmrazor_with_equal_weights_and_random_numbers(in_channels, ratio):
    ours, theirs = both_connectors(C, in_channels, ratio, 'spatial')
    student, teacher = torch.randn(N, in_channels, H, W), torch.randn(N, C, H, W)
    results = []
    for connector, loss in ((ours, MGDLoss()), (theirs, losses.MGDLoss(2e-5))):
        torch.manual_seed(7)
        feature = student.clone().requires_grad_()
        value = loss(connector(feature), teacher)
        value.backward()
        results.append([value.detach(), feature.grad,
                        *(p.grad for p in connector.parameters())])
    torch.testing.assert_close(results[0], results[1])


def test_mgd_masks_the_other_end_of_the_channels_as_the_authors_classification_code():
    ours, theirs = both_connectors(64, 64, 0.3, 'channel')
    feature = torch.ones(1, 64, 1, 1)
    torch.manual_seed(0)
    uniform = torch.rand(1, 64, 1, 1)
    seen = {}
    for name, connector in (('ours', ours), ('theirs', theirs)):
        connector.generation = torch.nn.Identity()
        torch.manual_seed(0)
        seen[name] = connector(feature)
    # as many on average, but not the same
    assert torch.equal(seen['ours'], (uniform >= 0.3).float())
    assert torch.equal(seen['theirs'], (uniform <= 0.7).float())


def test_mgd_masks_in_training_alone_where_mmrazor_always_does():
    ours, theirs = both_connectors(C, C, 0.9, 'spatial')
    feature = torch.randn(N, C, H, W)
    for connector, same in ((ours.eval(), True), (theirs.eval(), False)):
        assert torch.equal(connector(feature), connector(feature)) is same


@pytest.mark.parametrize('shape', [(N, C, H, W), (1, 3, 7, 5), (3, 2, 1, 1)])
def test_pkd_equals_mmrazor_with_its_gradient(shape):
    sides = noise(*shape)
    torch.testing.assert_close(
        value_and_gradient(PKDLoss(loss_weight=6.0), *sides),
        value_and_gradient(losses.PKDLoss(loss_weight=6.0), *sides))


def test_pkd_of_a_pyramid_equals_mmrazor():
    levels = [noise(N, C, size, size + 1) for size in (8, 4, 2)]
    sides = [tuple(side) for side in zip(*levels)]
    torch.testing.assert_close(PKDLoss()(*sides), losses.PKDLoss()(*sides))


def test_pkd_of_a_constant_channel_equals_mmrazor():
    student, teacher = noise(N, C, H, W)
    student[:, 1] = 0
    torch.testing.assert_close(
        value_and_gradient(PKDLoss(), student, teacher),
        value_and_gradient(losses.PKDLoss(), student, teacher))


def test_pkd_aligned_by_the_link_equals_mmrazors_resizing():
    student, teacher = torch.randn(N, C, H, W), torch.randn(N, C, 2 * H, 2 * W)
    aligner = plan_alignment(PKDLoss(), student, teacher, classes=False)
    torch.testing.assert_close(PKDLoss()(aligner(student, teacher), teacher),
                               losses.PKDLoss()(student, teacher))


def test_pkd_resizes_where_only_the_width_differs_which_mmrazor_does_not():
    student, teacher = torch.randn(N, C, H, W), torch.randn(N, C, H, 2 * W)
    with pytest.raises(AssertionError):
        losses.PKDLoss()(student, teacher)
    with pytest.raises(ShapeError, match='Axis `w` differs'):
        PKDLoss()(student, teacher)
    aligner = plan_alignment(PKDLoss(), student, teacher, classes=False)
    assert PKDLoss()(aligner(student, teacher), teacher).isfinite()


def test_pkd_gives_zero_for_one_value_a_channel_where_mmrazor_gives_nan():
    sides = noise(1, C, 1, 1)
    with pytest.warns(UserWarning, match='degrees of freedom'):
        assert losses.PKDLoss()(*sides).isnan()
    assert PKDLoss()(*sides) == 0


def test_pkd_refuses_pyramids_of_other_lengths_where_mmrazor_forgets_levels():
    one, two = noise(N, C, 8, 8), noise(N, C, 4, 4)
    student, teacher = (one[0], two[0]), (one[1],)
    torch.testing.assert_close(losses.PKDLoss()(student, teacher),
                               losses.PKDLoss()(*one))
    with pytest.raises(ShapeError, match='same number of levels'):
        PKDLoss()(student, teacher)


def test_pkd_keeps_digits_of_half_features_which_mmrazor_rounds_away():
    student, teacher = (x.half() for x in noise(N, C, 32, 32))
    exact = losses.PKDLoss()(student.double(), teacher.double()).item()
    theirs, ours = losses.PKDLoss()(student, teacher), PKDLoss()(student, teacher)
    assert (theirs.dtype, ours.dtype) == (torch.float16, torch.float32)
    assert abs(theirs.item() - exact) > 1e-5
    assert ours.item() == pytest.approx(exact, rel=2e-6)
