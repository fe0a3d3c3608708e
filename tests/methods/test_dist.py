"""DIST: cases for the laws, the slow twins, and what is special to it."""

from __future__ import annotations

from math import exp, log, sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import CALM, SEEDS, rows_of, softened, two_sides

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import DISTLoss
from mmkd_ext.methods.dist import pearson
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
        DISTLoss, inputs=pair(4, 5), temperature='tau',
        invariances={'a constant added to each row': per_position_constant},
        values=[
            KnownValue(SWAPPED, ROWS, 2 * OPPOSITE, 'rows and columns reversed'),
            KnownValue(
                [[log(3), log(2), 0]], [[0, log(2), log(3)]], SINGLE,
                'one sample: the term over the batch is 1')],
        exempt=DAMPED),
    LossCase(
        DISTLoss, {'activation': 'sigmoid', 'tau': 2.0, 'beta': 0.5, 'gamma': 3.0},
        inputs=pair(4, 5),
        values=[
            KnownValue(
                [[2 * x for x in row] for row in ODD],
                [[2 * x for x in row] for row in EVEN], 4 * (0.5 * (HALF - 1) + 3),
                'by hand, times tau**2')],
        exempt=DAMPED),
    LossCase(
        DISTLoss, {'gamma': 2.0}, inputs=pyramid((2, 3, 2, 4), (2, 3, 2, 2)),
        exempt=DAMPED, name='maps')]


@pytest.mark.parametrize('settings', [{}, {'activation': 'sigmoid'}])
def test_one_channel_has_no_correlation_over_classes(settings):
    loss = DISTLoss(**settings)
    wanted = r"1 channel.*activation='sigmoid', beta=0"
    student, teacher = two_sides(2, 1, 3, 4)
    with pytest.raises(ShapeError, match=wanted):
        loss(student, teacher)
    with pytest.raises(ShapeError, match=wanted):
        loss.check_pair(student, teacher)


def test_of_one_channel_the_correlation_over_positions_can_be_learned():
    student, teacher = two_sides(2, 1, 3, 4)
    loss = DISTLoss(activation='sigmoid', beta=0, gamma=2.0)
    found = loss(student.requires_grad_(), teacher)
    both = torch.stack([student.detach().sigmoid().flatten(),
                        teacher.sigmoid().flatten()])
    torch.testing.assert_close(found.detach(), 2 * (1 - torch.corrcoef(both)[0, 1]),
                               rtol=1e-6, atol=0)
    found.backward()
    assert student.grad.abs().max() > 0


@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
def test_each_position_of_a_map_is_a_sample(activation):
    student, teacher = two_sides(2, 5, 3, 4)
    loss = DISTLoss(tau=2.0, activation=activation)
    torch.testing.assert_close(loss(student, teacher),
                               loss(rows_of(student), rows_of(teacher)))


def test_suggests_an_activation():
    with pytest.raises(ConfigError, match='Did you mean `sigmoid`'):
        DISTLoss(activation='sigmod')


DIMS = pytest.mark.parametrize('dim', [0, 1])


@CALM
@given(SEEDS, st.floats(0.1, 50), st.floats(-20, 20))
def test_scale_and_offset_of_each_row_do_not_matter(seed, scale, offset):
    student, teacher = two_sides(4, 6, seed=seed)
    change = scale * torch.arange(1, 5, dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        pearson(change * student + offset, teacher, dim=1),
        pearson(student, teacher, dim=1), rtol=1e-6, atol=1e-6)  # the authors' 1e-8


@DIMS
def test_agrees_with_torch(dim):
    student, teacher = two_sides(5, 5)
    other = 1 - dim
    wanted = [torch.corrcoef(torch.stack([s, t]))[0, 1]
              for s, t in zip(student.unbind(other), teacher.unbind(other))]
    torch.testing.assert_close(pearson(student, teacher, dim=dim), torch.stack(wanted),
                               rtol=1e-7, atol=1e-7)


@DIMS
def test_what_does_not_vary_has_no_correlation_and_no_gradient(dim):
    student = torch.full((3, 4), 0.7, requires_grad=True)
    teacher = two_sides(3, 4)[0].float()
    found = pearson(student, teacher, dim=dim)
    torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-6)
    pearson(teacher.requires_grad_(), student.detach(), dim=dim).sum().backward()
    assert teacher.grad.isfinite().all()
    found.sum().backward()
    assert student.grad.isfinite().all()


def correlation(a, b):
    """Returns Pearson's correlation of two flat lists, damped as by DIST's authors."""
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    together = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
    spread_a = sqrt(sum((x - mean_a) ** 2 for x in a))
    spread_b = sqrt(sum((y - mean_b) ** 2 for y in b))
    return together / (spread_a * spread_b + 1e-8)


def slow_pearson(student, teacher, dim):
    """Correlation within each row (``dim=1``) or each column (``dim=0``)."""
    if dim == 0:
        student, teacher = (list(zip(*side)) for side in (student, teacher))
    return [correlation(s, t) for s, t in zip(student, teacher)]


def slow_dist(student, teacher, beta, gamma, tau, activation):
    """DIST, Eq. (8) to (10), of rows."""
    def activated(row):
        if activation == 'softmax':
            return softened(row, tau)
        return [1 / (1 + exp(-value / tau)) for value in row]

    s, t = ([activated(row) for row in side] for side in (student, teacher))
    rows, columns = slow_pearson(s, t, 1), slow_pearson(s, t, 0)
    inter = sum(1 - r for r in rows) / len(rows)
    intra = sum(1 - r for r in columns) / len(columns)
    return tau**2 * (beta * inter + gamma * intra)


@pytest.mark.parametrize(('shape', 'tau'), [((1, 2), 0.5), ((5, 81), 4.0)])
@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
def test_equals_its_twin(shape, tau, activation):
    student, teacher = two_sides(*shape)
    fast = DISTLoss(beta=0.5, gamma=3.0, tau=tau, activation=activation)
    slow = slow_dist(student.tolist(), teacher.tolist(), 0.5, 3.0, tau, activation)
    assert fast(student, teacher).item() == pytest.approx(slow, rel=1e-10)
