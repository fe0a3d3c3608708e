"""The policy that all losses share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import PairLoss
from mmkd_ext.methods._base import pair_levels


class Difference(PairLoss):
    """The simplest loss: a mean of differences; notes what it was given."""

    def compute(self, student, teacher, boxes=None):
        self.seen = (student, teacher, boxes)
        return (student - teacher).abs()


class Summed(Difference):
    default_reduction = 'sum'


def test_is_abstract():
    with pytest.raises(TypeError, match='abstract'):
        PairLoss()


def test_takes_the_reduction_of_the_paper_unless_told():
    one, zero = torch.ones(2, 3), torch.zeros(2, 3)
    assert Summed()(one, zero) == 6
    assert Summed(reduction='mean')(one, zero) == 1
    assert Summed(reduction='batchmean')(one, zero) == 3
    assert Summed(reduction='none')(one, zero).shape == (2, 3)


@pytest.mark.parametrize('weight', [-1, float('nan'), '1'])
def test_refuses_a_weight_that_is_no_factor(weight):
    with pytest.raises(ConfigError, match='`loss_weight`'):
        Difference(loss_weight=weight)


def test_names_a_required_extra_and_leaves_keywords_out():
    class Needs(PairLoss):
        def compute(self, student, teacher, boxes, **more):
            return student

    assert Needs.arguments() == {'preds_S': True, 'preds_T': True, 'boxes': True}


def test_hands_extras_to_every_level():
    loss = Difference()
    loss([torch.ones(1), torch.ones(1)], [torch.zeros(1)] * 2, boxes='here')
    assert loss.seen[2] == 'here'


class Weighted(Difference):
    """Levels with parameters of their own, and a mask that they share."""

    def __init__(self, levels, **policy):
        super().__init__(**policy)
        self.factors = nn.ParameterList(torch.ones(()) * i for i in range(levels))

    def compute_levels(self, levels, mask, extra=None):
        self.given = levels
        return [
            f * mask * self.compute(s, t) for f, (s, t) in zip(self.factors, levels)]


def test_a_loss_may_see_all_levels_at_once():
    loss = Weighted(3, loss_weight=10.0)
    ones, zeros = [torch.ones(2, 4)] * 3, [torch.zeros(2, 4)] * 3
    # 0 + 1 + 2 of means that are 0.5 under the mask
    assert loss(ones, zeros, mask=0.5) == 10 * (0 + 1 + 2) * 0.5


def test_all_levels_come_detached_and_in_float32():
    loss = Weighted(1)
    student = torch.ones(2, 4, dtype=torch.bfloat16, requires_grad=True)
    teacher = torch.ones(2, 4, dtype=torch.bfloat16, requires_grad=True)
    loss(student, teacher, mask=1.0)
    ((s, t),) = loss.given
    assert s.dtype == t.dtype == torch.float32
    assert s.requires_grad
    assert not t.requires_grad


def test_a_loss_of_all_levels_names_its_own_arguments():
    assert Weighted.arguments() == {
        'preds_S': True, 'preds_T': True, 'mask': True, 'extra': False}


def test_switches_autocast_off_inside_only():
    class Asks(Difference):
        def compute(self, student, teacher):
            assert not torch.is_autocast_enabled('cpu')
            return student @ teacher.T

    with torch.autocast('cpu', torch.bfloat16):
        value = Asks()(torch.ones(2, 3), torch.ones(2, 3))
        assert torch.is_autocast_enabled('cpu')
    assert value.dtype == torch.float32


def test_detaches_the_teacher_unless_told():
    teacher = torch.ones(2, requires_grad=True)
    loss = Difference()
    loss(torch.ones(2), teacher)
    assert not loss.seen[1].requires_grad
    loss = Difference(teacher_detach=False)
    loss(torch.ones(2), teacher)
    assert loss.seen[1].requires_grad


def test_a_pyramid_of_one_level_may_stay_unreduced():
    items = Difference(reduction='none')((torch.ones(2, 3),), (torch.zeros(2, 3),))
    assert items.shape == (2, 3)


def test_several_levels_cannot_stay_unreduced():
    levels = (torch.ones(2), torch.ones(3))
    with pytest.raises(ConfigError, match=r"`Difference` with reduction='none' takes "
                                          r'one level, but got 2'):
        Difference(reduction='none')(levels, levels)


@pytest.mark.parametrize(('student', 'message'), [
    ((), r'`preds_S` must be a tensor or a non-empty tuple .* tuple of 0'),
    (3, r'`preds_S` must be .* is int; choose one with `item`'),
    ((torch.ones(2), None), r'is tuple of 2 \(\(2,\), NoneType\)'),
    (torch.ones(2), r'`preds_S` is one tensor \(2,\), `preds_T` is tuple of 2'),
    ([torch.ones(2)], r'`preds_S` is list of 1 \(\(2,\)\), .* same number of levels'),
])
def test_says_what_is_no_pair(student, message):
    with pytest.raises(ShapeError, match=message):
        pair_levels(student, (torch.ones(2), torch.ones(2)))


def test_the_former_names_of_what_is_alignable_still_work():
    with pytest.warns(FutureWarning, match='`alignable`'):
        class Old(Difference):
            aligns = frozenset()

    assert Old.alignable == frozenset()
