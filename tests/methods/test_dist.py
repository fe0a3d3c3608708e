"""DIST: cases for the laws, and what is special to the class."""

from __future__ import annotations

from math import log

import pytest
import torch

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import DISTLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair, pyramid

DAMPED = {'zero_at_equality': "the authors' 1e-8 beside the norms leaves some 1e-6"}


def per_position_constant(x):
    shape = (x.shape[0], 1, *x.shape[2:])
    count = x[:, :1].numel()
    return x + torch.linspace(-3, 3, count, dtype=x.dtype).reshape(shape)


# By hand, with the 1e-8 that the authors add to the product of the norms.
#
# Probabilities (3/4, 1/4) and (1/4, 3/4) against the reverse: each row and column is
# anti-correlated, with norms sqrt(1/8) each, so 1 - r = 1 + (1/8) / (1/8 + 1e-8).
OPPOSITE = 1 + 0.125 / (0.125 + 1e-8)
ROWS = [[log(3), 0.0], [0.0, log(3)]]
SWAPPED = ROWS[::-1]
# Probabilities (3/6, 2/6, 1/6) against (1/6, 2/6, 3/6) in one row: r = -1 as well, with
# norms sqrt(1/18); over the batch of one nothing varies, so that term is 1.
SINGLE = 1 + (1 / 18) / (1 / 18 + 1e-8) + 1
# Sigmoids (3/4, 1/4, 1/2) against (3/4, 1/2, 1/4): centred (1, -1, 0) / 4 and
# (1, 0, -1) / 4, so their product is 1/16 and their norms sqrt(2) / 4.
HALF = 1 - (1 / 16) / (1 / 8 + 1e-8) + 1
ODD, EVEN = [[log(3), -log(3), 0.0]], [[log(3), 0.0, -log(3)]]

CASES = [
    LossCase(
        DISTLoss,
        inputs=pair(4, 5),
        temperature='tau',
        invariances={'a constant added to each row': per_position_constant},
        values=[KnownValue(SWAPPED, ROWS, 2 * OPPOSITE, 'rows and columns reversed'),
                KnownValue([[log(3), log(2), 0]], [[0, log(2), log(3)]], SINGLE,
                           'one sample: the term over the batch is 1')],
        exempt=DAMPED,
    ),
    LossCase(
        DISTLoss,
        {'activation': 'sigmoid', 'tau': 2.0, 'beta': 0.5, 'gamma': 3.0},
        inputs=pair(4, 5),
        values=[KnownValue([[2 * x for x in row] for row in ODD],
                           [[2 * x for x in row] for row in EVEN],
                           4 * (0.5 * (HALF - 1) + 3), 'by hand, times tau**2')],
        exempt=DAMPED,
    ),
    LossCase(
        DISTLoss,
        {'gamma': 2.0},
        inputs=pyramid((2, 3, 2, 4), (2, 3, 2, 2)),
        exempt=DAMPED,
        name='maps',
    ),
]


@pytest.mark.parametrize('settings', [
    {}, {'beta': 0.0}, {'activation': 'sigmoid'}, {'activation': 'sigmoid', 'tau': 4}])
@pytest.mark.parametrize('shape', [(4, 1), (2, 1, 3, 4)])
def test_one_channel_has_no_correlation_over_classes(settings, shape):
    loss = DISTLoss(**settings)
    wanted = r"1 channel.*activation='sigmoid', beta=0"
    student, teacher = noise(*shape)
    with pytest.raises(ShapeError, match=wanted):
        loss(student, teacher)
    with pytest.raises(ShapeError, match=wanted):
        loss.check_pair(student, teacher)


def test_of_one_channel_the_correlation_over_positions_can_be_learned():
    student, teacher = noise(2, 1, 3, 4)
    loss = DISTLoss(activation='sigmoid', beta=0, gamma=2.0)
    found = loss(student.requires_grad_(), teacher)
    both = torch.stack([student.detach().sigmoid().flatten(),
                        teacher.sigmoid().flatten()])
    torch.testing.assert_close(found.detach(), 2 * (1 - torch.corrcoef(both)[0, 1]),
                               rtol=1e-6, atol=0)
    found.backward()
    assert student.grad.abs().max() > 0


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64)
            for _ in range(2)]


def rows_of(x):
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
def test_each_position_of_a_map_is_a_sample(activation):
    student, teacher = noise(2, 5, 3, 4)
    loss = DISTLoss(tau=2.0, activation=activation)
    torch.testing.assert_close(loss(student, teacher),
                               loss(rows_of(student), rows_of(teacher)))


@pytest.mark.parametrize('shape', [(6, 5), (2, 5, 3, 4)])
@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
def test_equal_sides_cost_nothing(shape, activation):
    student, _ = noise(*shape)
    value = DISTLoss(activation=activation)(student, student.clone())
    assert 0 <= value < 1e-5


@pytest.mark.parametrize(('beta', 'gamma'), [(1.0, 0.0), (0.0, 1.0)])
def test_each_weight_has_its_term(beta, gamma):
    student, teacher = noise(4, 5)
    sides = [x.softmax(1) for x in (student, teacher)]
    if gamma:
        sides = [x.T for x in sides]
    # correlation by torch
    wanted = [1 - torch.corrcoef(torch.stack(both))[0, 1] for both in zip(*sides)]
    torch.testing.assert_close(
        DISTLoss(beta=beta, gamma=gamma)(student, teacher), torch.stack(wanted).mean(),
        rtol=1e-6, atol=1e-6)


def test_probabilities_in_a_fixed_proportion_to_the_teachers_cost_no_row_term():
    # what KL would punish: r forgets how sure the student is
    teacher = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], dtype=torch.float64)
    student = 0.2 * teacher + 0.8 / 3
    value = DISTLoss(gamma=0.0)(student.log(), teacher.log())
    assert value < 1e-5


def test_one_row_has_no_statistics_over_the_batch():
    student, teacher = noise(1, 5)
    student.requires_grad_()
    value = DISTLoss(beta=0.0, gamma=2.0)(student, teacher)
    value.backward()
    assert value == 2
    assert not student.grad.any()


def test_rows_that_do_not_vary_are_uncorrelated_and_finite():
    student = torch.zeros(3, 4, requires_grad=True)
    value = DISTLoss()(student, torch.zeros(3, 4))
    value.backward()
    assert value == 2
    assert student.grad.isfinite().all()


def test_no_rows_cost_nothing():
    empty = torch.zeros(0, 5, requires_grad=True)
    value = DISTLoss()(empty, torch.zeros(0, 5))
    value.backward()
    assert value == 0


def test_items_are_the_samples():
    student, teacher = noise(2, 5, 3, 4)
    assert DISTLoss(reduction='none')(student, teacher).shape == (2, 3, 4)
    assert DISTLoss(reduction='none')(rows_of(student), rows_of(teacher)).shape == (24,)


def test_saturated_halves_stay_finite():
    student = torch.tensor([[6e4, -6e4, 0.0], [0, 6e4, 6e4]]).half().requires_grad_()
    for activation in ('softmax', 'sigmoid'):
        value = DISTLoss(activation=activation)(student, -student.detach())
        value.backward()
        assert value.isfinite()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize(('argument', 'value'), [
    ('beta', -1), ('gamma', -0.5), ('tau', 0), ('gamma', None)])
def test_refuses_weights_below_zero_and_temperatures_not_above(argument, value):
    with pytest.raises(ConfigError, match=f'`{argument}` must be a number'):
        DISTLoss(**{argument: value})


def test_suggests_an_activation():
    with pytest.raises(ConfigError, match='Did you mean `sigmoid`'):
        DISTLoss(activation='sigmod')


def test_may_align_size_but_never_mixes_classes():
    assert DISTLoss.alignable == {'size'}
