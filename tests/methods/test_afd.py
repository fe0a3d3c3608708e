"""AFD: cases for the laws, attention, the slow twins, bad input."""

from __future__ import annotations

from math import exp, sqrt

import pytest
import torch
from slow_parts import doubles, layers

from mmkd_ext.distillers.alignment import plan_alignment
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import AFDLoss
from mmkd_ext.methods.afd import unit_activity
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

TOGETHER = {'pyramids_sum_over_levels': 'each layer is compared with all'}
LEFT, RIGHT = [[[[2.0, 0.0]]] * 3], [[[[0.0, -5.0]], [[0.0, 1.0]]]]
CASES = [
    LossCase(
        AFDLoss, dict(student_channels=(3,), teacher_channels=(2,), width=2),
        inputs=pair(3, 3, 1, 2, teacher=(3, 2, 2, 1)), free_axes=[2, 3],
        joint=True,
        exempt={**TOGETHER,
                'zero_at_equality': 'both sides have channels of their own here'},
        invariances={'a factor': lambda x: -3 * x},
        values=[
            KnownValue((LEFT,), (RIGHT,), 1.0, 'unit vectors (1, 0) and (0, 1)'),
            KnownValue(([[[[1.0, 7.0**0.5]]] * 3],), ([[[[4.0, 4.0]], [[2.0, 2.0]]]],),
                       1 - 8 / sqrt(2 * 50), '(1, 7) / sqrt(50) against the diagonal')],
    ),
    LossCase(
        AFDLoss, dict(student_channels=(2,), teacher_channels=(2,), width=2),
        inputs=pair(3, 2, 1, 3), exempt=TOGETHER, joint=True, free_axes=[2, 3],
    ),
    LossCase(
        AFDLoss, dict(student_channels=(2, 1), teacher_channels=(3, 3), width=2),
        inputs=layers([(3, 2, 2, 1), (3, 1, 1, 2)], [(3, 3, 1, 2), (3, 3, 2, 1)]),
        joint=True, free_axes=[2, 3],
        exempt={**TOGETHER, 'zero_at_equality': 'it compares different layers too'},
        values=[
            KnownValue(([[[[2.0, 0.0]]] * 2] * 2, [[[[1.0, 0.0]]]] * 2),
                       ([[[[0.0, 3.0]]] * 3] * 2, [[[[5.0, 0.0]]] * 3] * 2),
                       1.0, 'all attention of each sums to 1: 1 for one, 0 for other')],
    ),
]  # fmt: skip


# ---- attention ----------------------------------------------------------------------


def test_attention_sums_to_one_over_the_layers_of_the_student():
    loss = AFDLoss((3, 2), (4, 5, 6), width=8).double()
    attention = loss.attention([doubles(5, 3, 2, 2), doubles(5, 2, 1, 1)],
                               [doubles(5, c, 3, 3) for c in (4, 5, 6)])
    assert attention.shape == (5, 3, 2)
    torch.testing.assert_close(attention.sum(2), torch.ones(5, 3).double())


def test_positions_alone_can_say_which_layers_belong_together():
    loss = AFDLoss((3, 2), (4, 5), width=4).double()
    for norm in (loss.bilinear[1], *(query[1] for query in loss.queries)):
        torch.nn.init.zeros_(norm.weight)
    with torch.no_grad():
        loss.teacher_positions.copy_(torch.eye(2, 4))
        loss.student_positions.copy_(torch.eye(2, 4) * 2 * torch.tensor(3.0).log())
    attention = loss.attention([doubles(3, 3, 2, 2), doubles(3, 2, 2, 2)],
                               [doubles(3, 4, 2, 2), doubles(3, 5, 2, 2)])
    # logits log(3) and 0, after division by sqrt(4)
    wanted = torch.tensor([[0.75, 0.25], [0.25, 0.75]]).double().expand(3, 2, 2)
    torch.testing.assert_close(attention, wanted, rtol=1e-6, atol=0)


def test_all_that_learns_gets_a_gradient():
    loss = AFDLoss((3, 2), (4, 5), width=8).double()
    loss([doubles(3, 3, 4, 3), doubles(3, 2, 2, 2)],
         [doubles(3, 4, 4, 4), doubles(3, 5, 2, 1)]).backward()
    for name, parameter in loss.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


# ---- bad input ----------------------------------------------------------------------


def test_a_batch_of_one_trains():
    loss = AFDLoss((3, 2), (4,), width=8)
    student = [x.float().requires_grad_() for x in (
        doubles(1, 3, 4, 3), doubles(1, 2, 1, 1))]
    value = loss(student, doubles(1, 4, 2, 2).float())
    value.backward()
    assert value.isfinite()
    assert student[0].grad.isfinite().all()


@pytest.mark.parametrize('shape', [(2, 5, 1, 1), (2, 5)])
def test_a_layer_of_the_teacher_of_one_position_is_an_error(shape):
    loss = AFDLoss((3,), (4, 5), width=8)
    sides = torch.zeros(2, 3, 4, 4), (torch.zeros(2, 4, 4, 4), torch.zeros(shape))
    for run in (lambda: loss(*sides),
                lambda: plan_alignment(loss, *sides, classes=False)):
        with pytest.raises(ShapeError, match='has one position; leave it out'):
            run()


def test_maps_that_are_zero_stay_finite():
    student = torch.zeros(2, 3, 2, 2, requires_grad=True)
    value = AFDLoss((3,), (4,), width=8)(student, torch.zeros(2, 4, 2, 2))
    value.backward()
    assert value == 0
    assert student.grad.isfinite().all()


def test_refuses_numbers_that_make_no_attention():
    with pytest.raises(ConfigError, match='`width` must be an integer >= 1'):
        AFDLoss((3,), (4,), width=0)
    with pytest.raises(ConfigError, match='`student_channels` must list the channels'):
        AFDLoss(3, (4,))


# ---- the slow twins, in plain loops from the equations ------------------------------


def dot(one, other):
    return sum(a * b for a, b in zip(one, other))


def slow_unit_activity(plane, size):
    """Averages of ``[h][w]`` in cells, flat, divided by their length."""
    def cell(k, side, cells):
        return range(k * side // cells, -(-(k + 1) * side // cells))

    height, width = len(plane), len(plane[0])
    flat = [sum(plane[i][j] for i in cell(k, height, size[0])
                for j in cell(m, width, size[1]))
            / (len(cell(k, height, size[0])) * len(cell(m, width, size[1])))
            for k in range(size[0]) for m in range(size[1])]
    length = sqrt(dot(flat, flat))
    return [x / length if length else 0.0 for x in flat]


def dense(layer, rows):
    """A linear layer and the batch norm after it, of rows ``[n][c]``."""
    linear, norm = layer
    out = [[dot(weights, row) + bias
            for weights, bias in zip(linear.weight.tolist(), linear.bias.tolist())]
           for row in rows]
    columns = []
    for column in zip(*out):
        mean = sum(column) / len(column)
        variance = sum((x - mean) ** 2 for x in column) / len(column)
        columns.append([(x - mean) / sqrt(variance + norm.eps) for x in column])
    return [list(row) for row in zip(*columns)]


def slow_afd(loss, student, teacher):
    """The loss of nested lists ``[layer][n][c][h][w]``."""
    count, total = len(student[0]), 0.0

    def means(layer):
        return [[sum(map(sum, plane)) / len(plane) / len(plane[0]) for plane in sample]
                for sample in layer]

    def power(sample):
        return [[sum(plane[i][j] ** 2 for plane in sample) / len(sample)
                 for j in range(len(sample[0][0]))] for i in range(len(sample[0]))]

    queries = [dense(net, means(x)) for net, x in zip(loss.queries, teacher)]
    keys = [[[max(x, 0.0) for x in row] for row in dense(net[0], means(x))]
            for net, x in zip(loss.keys, student)]
    # of all layers and samples together
    mapped = dense(loss.bilinear, [keys[s][n] for n in range(count)
                                   for s in range(len(student))])
    width = len(queries[0][0])
    places = loss.teacher_positions.tolist(), loss.student_positions.tolist()
    for n in range(count):
        for t, layer in enumerate(teacher):
            powers = []
            for s in range(len(student)):
                key = mapped[n * len(student) + s][t * width:(t + 1) * width]
                logit = dot(key, queries[t][n]) + dot(places[0][t], places[1][s])
                powers.append(exp(logit / sqrt(width)))
            size = len(layer[n][0]), len(layer[n][0][0])
            target = slow_unit_activity(power(layer[n]), size)
            for s in range(len(student)):
                found = slow_unit_activity(power(student[s][n]), size)
                error = sum((a - b) ** 2 for a, b in zip(found, target)) / len(target)
                total += powers[s] / sum(powers) * error
    return total / count


def test_equals_its_twin():
    torch.manual_seed(0)
    loss = AFDLoss((3, 2), (4, 4, 5), width=6).double()
    student = [doubles(3, 3, 4, 3), doubles(3, 2, 2, 2, seed=1)]
    teacher = [doubles(3, 4, 3, 4, seed=2), doubles(3, 4, 1, 2, seed=3),
               doubles(3, 5, 2, 5, seed=4)]
    slow = slow_afd(loss, *([x.tolist() for x in side] for side in (student, teacher)))
    assert loss(student, teacher).item() == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize('size', [(2, 3), (1, 2), (4, 5)])
def test_activity_equals_its_twin(size):
    power = doubles(2, 2, 3).square()
    power[1] = 0
    slow = [slow_unit_activity(plane, size) for plane in power.tolist()]
    torch.testing.assert_close(unit_activity(power, size),
                               torch.tensor(slow, dtype=torch.float64))
