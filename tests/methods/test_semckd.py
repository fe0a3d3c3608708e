"""SemCKD: cases for the laws, attention, the slow twins, bad input."""

from __future__ import annotations

from math import exp, sqrt

import pytest
import torch
from slow_parts import doubles, layers
from torch import nn

from mmkd_ext.distillers.alignment import plan_alignment
from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import SemCKDLoss
from mmkd_ext.methods.semckd import similarity_rows
from mmkd_ext.testing.laws import KnownValue, LossCase

LEARNED = {
    'zero_at_equality': 'the student is projected first, at random',
    'pyramids_sum_over_levels': 'each layer is compared with all',
}
PLACES = 'attention knows samples by their place in the batch, as published'


CASES = [
    LossCase(
        SemCKDLoss,
        dict(student_channels=(3, 2), teacher_channels=(4, 4), batch_size=4),
        inputs=layers([(2, 3, 2, 3), (2, 2, 1, 2)], [(2, 4, 3, 2), (2, 4, 1, 1)]),
        joint=True, free_axes=[2, 3],
        exempt={**LEARNED, 'batch_order_does_not_matter': PLACES},
        values=[
            KnownValue(
                (torch.zeros(2, 3, 2, 2), torch.zeros(2, 2, 3, 1)),
                (torch.full((2, 4, 3, 3), 2.0), torch.full((2, 4, 1, 1), -2.0)),
                4.0, 'what is projected of 0 is 0, and attention sums to 1')],
    ),
    LossCase(
        SemCKDLoss,
        dict(student_channels=(3,), teacher_channels=(4,), batch_size=2),
        inputs=layers([(2, 3)], [(2, 4)]), joint=True, exempt=LEARNED, name='vectors',
    ),
]  # fmt: skip


# ---- attention ----------------------------------------------------------------------


def test_attention_sums_to_one_over_the_layers_of_the_teacher():
    loss = SemCKDLoss((3, 2), (4, 5, 6), batch_size=8).double()
    attention = loss.attention([doubles(5, 3, 2, 2), doubles(5, 2, 1, 1)],
                               [doubles(5, c, 3, 3) for c in (4, 5, 6)])
    assert attention.shape == (5, 2, 3)
    torch.testing.assert_close(attention.sum(2), torch.ones(5, 2).double())
    # queries and keys are unit vectors, so no layer counts e**2 times another
    assert (attention.amax(2) / attention.amin(2)).max() < exp(2)


def test_of_one_layer_of_the_teacher_all_attention_is_its():
    loss = SemCKDLoss((3,), (4,), batch_size=8).double()
    assert loss.attention([doubles(5, 3)], [doubles(5, 4)]).eq(1).all()


@pytest.mark.parametrize('batch', [1, 2, 7, 8, 11])
def test_batches_of_any_size_train(batch):
    loss = SemCKDLoss((3, 2), (4, 5), batch_size=8)
    sides = ([doubles(batch, 3, 4, 3).float(), doubles(batch, 2, 2, 2).float()],
             [doubles(batch, 4, 4, 4).float(), doubles(batch, 5, 1, 1).float()])
    for layer in sides[0]:
        layer.requires_grad_()
    value = loss(*sides)
    value.backward()
    assert value.isfinite()
    for tensor in (*sides[0], *loss.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


def test_a_smaller_batch_has_rows_that_end_with_zeros():
    feature = doubles(3, 2, 2, 2)
    rows = similarity_rows(feature, 5)
    assert rows.shape == (3, 5)
    assert not rows[:, 3:].any()
    torch.testing.assert_close(similarity_rows(feature, 2), rows[:, :2])


# ---- projectors ---------------------------------------------------------------------


def test_there_is_a_projector_for_each_pair_of_channels():
    loss = SemCKDLoss((3, 3, 2), (4, 5, 4, 5), batch_size=8)
    assert set(loss.projectors) == {'3_to_4', '3_to_5', '2_to_4', '2_to_5'}


def test_a_projection_runs_once_for_targets_of_one_size(monkeypatch):
    loss = SemCKDLoss((3, 3, 3, 3), (4, 4, 4, 4), batch_size=8)
    sizes = [(8, 6), (4, 3), (2, 2), (1, 1)]
    calls = []
    loss.projectors['3_to_4'].register_forward_hook(lambda *them: calls.append(them))
    loss([doubles(2, 3, *size).float() for size in sizes],
         [doubles(2, 4, *size).float() for size in sizes])
    # 4 + 3 + 2 + 1: no target is larger than the student's layer
    assert len(calls) == 10


# ---- bad input ----------------------------------------------------------------------


@pytest.mark.parametrize(('student', 'found'), [
    ([(2, 3, 4, 4)], r"\[\(2, 3, 4, 4\)\]; set `student_channels`"),
    ([(2, 3, 4, 4), (2, 9, 4, 4)], r"\(2, 9, 4, 4\)\]; set `student_channels`"),
    ([(2, 3, 4, 4), (1, 2, 4, 4)], r"\(1, 2, 4, 4\)\]"),
    ([(2, 3, 4), (2, 2, 4)], r"\(2, 2, 4\)\]")])  # fmt: skip
def test_says_which_layers_do_not_fit(student, found):
    loss = SemCKDLoss((3, 2), (4,), batch_size=8)
    sides = [torch.zeros(shape) for shape in student], [torch.zeros(2, 4, 2, 2)]
    for run in (lambda: loss(*sides),
                lambda: plan_alignment(loss, *sides, classes=False)):
        with pytest.raises(ShapeError, match=found):
            run()


def test_nothing_is_aligned_before_the_loss():
    loss = SemCKDLoss((3, 2), (4,), batch_size=8)
    sides = (torch.zeros(2, 3, 4, 4), torch.zeros(2, 2, 4, 4)), torch.zeros(2, 4, 2, 2)
    assert plan_alignment(loss, *sides, classes=False) is None


@pytest.mark.parametrize(('arguments', 'message'), [
    (((), (4,), 8), '`student_channels` must list the channels of each layer'),
    (((3,), 4, 8), '`teacher_channels` must list the channels of each layer'),
    (((3,), (0,), 8), '`teacher_channels` must be an integer >= 1'),
    (((3,), (4,), 0), '`batch_size` must be an integer >= 1')])
def test_refuses_numbers_that_make_no_attention(arguments, message):
    with pytest.raises(ConfigError, match=message):
        SemCKDLoss(*arguments)


# ---- the slow twins, in plain loops from the equations ------------------------------


def dot(one, other):
    return sum(a * b for a, b in zip(one, other))


def slow_similarity_rows(rows, references):
    return [[dot(one, rows[m]) if m < len(rows) else 0.0 for m in range(references)]
            for one in rows]


def pooled(plane, size):
    """Averages of ``[h][w]``; cells begin and end at rounded fractions of the sides."""
    def cell(k, side, cells):
        return range(k * side // cells, -(-(k + 1) * side // cells))

    height, width = len(plane), len(plane[0])
    return [[sum(plane[i][j] for i in cell(k, height, size[0])
                 for j in cell(m, width, size[1]))
             / (len(cell(k, height, size[0])) * len(cell(m, width, size[1])))
             for m in range(size[1])] for k in range(size[0])]


def linear(layer, row):
    return [dot(weights, row) + bias
            for weights, bias in zip(layer.weight.tolist(), layer.bias.tolist())]


def embedded(mlp, row):
    out = linear(mlp[2], [max(x, 0.0) for x in linear(mlp[0], row)])
    length = sqrt(dot(out, out))
    return [x / length for x in out]


def slow_semckd(loss, student, teacher):
    """The loss of nested lists ``[layer][n][c][h][w]``; projectors are 1x1 matrices."""
    count, total = len(student[0]), 0.0
    flat = [[[[x for plane in sample for row in plane for x in row] for sample in layer]
             for layer in side] for side in (student, teacher)]
    rows = [[slow_similarity_rows(layer, loss.batch_size) for layer in side]
            for side in flat]
    for n in range(count):
        keys = [embedded(mlp, row[n]) for mlp, row in zip(loss.keys, rows[1])]
        for i, one in enumerate(student):
            query = embedded(loss.queries[i], rows[0][i][n])
            powers = [exp(dot(query, key)) for key in keys]
            for j, other in enumerate(teacher):
                s, t = one[n], other[n]
                size = [min(len(s[0]), len(t[0])), min(len(s[0][0]), len(t[0][0]))]
                s, t = ([pooled(plane, size) for plane in x] for x in (s, t))
                matrix = loss.projectors[f'{len(s)}_to_{len(t)}'].weight.tolist()
                squares = [
                    (sum(matrix[d][c][0][0] * s[c][y][x] for c in range(len(s)))
                     - t[d][y][x]) ** 2
                    for d in range(len(t)) for y in range(size[0])
                    for x in range(size[1])]
                total += powers[j] / sum(powers) * sum(squares) / len(squares)
    return total / count / len(student)


@pytest.mark.parametrize('batch', [1, 3, 6])
def test_equals_its_twin(batch):
    torch.manual_seed(0)
    loss = SemCKDLoss((3, 2), (4, 4, 5), batch_size=5).double()
    for name in loss.projectors:
        into, out = map(int, name.split('_to_'))
        loss.projectors[name] = nn.Conv2d(into, out, 1, bias=False).double()
    student = [doubles(batch, 3, 4, 3), doubles(batch, 2, 2, 2, seed=1)]
    teacher = [doubles(batch, 4, 3, 4, seed=2), doubles(batch, 4, 1, 1, seed=3),
               doubles(batch, 5, 2, 5, seed=4)]
    slow = slow_semckd(loss, *([x.tolist() for x in side]
                               for side in (student, teacher)))
    assert loss(student, teacher).item() == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize('references', [1, 3, 4])
def test_rows_equal_their_twin(references):
    rows = doubles(3, 4)
    torch.testing.assert_close(
        similarity_rows(rows, references),
        torch.tensor(slow_similarity_rows(rows.tolist(), references)).double())
