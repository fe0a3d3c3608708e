"""What an author of a plugin meets when using the laws."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.errors import ConfigError
from mmkd_ext.functional import squared_error
from mmkd_ext.methods import FitNetsLoss, KDLoss, PairLoss
from mmkd_ext.testing.laws import (
    LAWS,
    KnownValue,
    LawBroken,
    LossCase,
    applicable,
    broken_laws,
    pair,
)


def law(name):
    return next(law for law in LAWS if law.name == name)


class Scaled(PairLoss):
    """A loss with a parameter, an extra, and images that carry a weight."""

    def __init__(self, **policy):
        super().__init__(**policy)
        self.scale = torch.nn.Parameter(torch.rand(()))

    def compute(self, student, teacher, weights):
        rows = torch.stack([torch.as_tensor(w, dtype=student.dtype) for w in weights])
        return self.scale * rows[:, None] * squared_error(student, teacher)


WEIGHTED = LossCase(Scaled, inputs=pair(3, 4),
                    extras=lambda generator: {'weights': [1.0, 2.0, 5.0]})


def test_a_case_is_named_by_its_arguments():
    assert str(LossCase(KDLoss, {'tau': 4.0})) == 'KDLoss(tau=4.0)'
    assert str(LossCase(KDLoss, name='rows')) == 'KDLoss()-rows'
    assert str(LAWS[0]) == LAWS[0].name == 'scalar_and_finite'


def test_every_case_meets_every_law_but_its_exemptions():
    cases = [LossCase(KDLoss),
             LossCase(KDLoss, exempt={'zero_at_equality': 'a reason'})]
    met = [(law.name, case) for law, case in applicable(cases)]
    assert len(met) == 2 * len(LAWS) - 1
    assert ('zero_at_equality', cases[1]) not in met


def test_an_exemption_must_name_a_law():
    with pytest.raises(ConfigError, match=r'no law\. Did you mean `zero_at_equality`'):
        LossCase(KDLoss, exempt={'zero_at_equalty': 'a reason'})


def test_an_exemption_must_have_a_reason():
    with pytest.raises(ConfigError, match=r"no reason for 'zero_at_equality'"):
        LossCase(KDLoss, exempt={'zero_at_equality': ''})


def test_a_broken_law_says_which_case_and_what_was_found():
    case = LossCase(FitNetsLoss, values=[KnownValue([3.0], [1.0], 5.0, 'page 7')])
    with pytest.raises(LawBroken, match=r'FitNetsLoss\(\): page 7: 4.0 instead of 5.0'):
        law('known_values_hold').check(case)
    assert broken_laws(case) == {
        'known_values_hold': 'LawBroken: FitNetsLoss(): page 7: 4.0 instead of 5.0.'}


def test_extras_follow_the_order_of_the_batch():
    assert broken_laws(WEIGHTED) == {}


def test_extras_that_stand_for_the_whole_batch_stay():
    class Shared(Scaled):
        def compute(self, student, teacher, weights):
            return super().compute(student, teacher, [weights['all']] * len(student))

    case = LossCase(Shared, inputs=pair(3, 4),
                    extras=lambda generator: {'weights': {'all': 2.0}})
    law('batch_order_does_not_matter').check(case)


def test_known_values_may_have_extras():
    class One(Scaled):
        def __init__(self, **policy):
            super().__init__(**policy)
            torch.nn.init.ones_(self.scale)

    known = KnownValue([[3.0]], [[1.0]], 20.0, 'by hand', extras={'weights': [5.0]})
    law('known_values_hold').check(LossCase(One, values=[known]))


def test_axes_may_be_free():
    class AnyWidth(PairLoss):
        def compute(self, student, teacher):
            return squared_error(student.mean(-1), teacher.mean(-1))

    sides = pair(2, 3, 4, teacher=(2, 3, 5))
    with pytest.raises(LawBroken, match='raise `ShapeError`'):
        law('mismatched_shapes_raise').check(LossCase(AnyWidth, inputs=sides))
    case = LossCase(AnyWidth, inputs=sides, free_axes=[2])
    # one axis more is still refused, for the means differ in shape
    law('mismatched_shapes_raise').check(case)
