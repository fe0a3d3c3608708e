"""MLLD: cases for the laws, the slow twin, and the released code's own slips."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from slow_parts import doubles

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import class_divergence
from mmkd_ext.methods import MLLDLoss
from mmkd_ext.methods.mlld import batch_relation_distance, class_relation_distance
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

# One sample, one temperature. Teacher (3/4, 1/4), student (1/2, 1/2), both as rows:
# divergence; <q,q> - <p,p> = 1/2 - 5/8; of the classes (1/4, 1/4; 1/4, 1/4) against
# (9/16, 3/16; 3/16, 1/16). Half of the two classes is masked, the sample is not.
KL = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
BATCH = (1 / 8) ** 2
CLASSES = ((5 / 16) ** 2 + 2 * (1 / 16) ** 2 + (3 / 16) ** 2) / 2
ONE = {'temperatures': (1.0,), 'views': 1}
TWO = {'batch_order_does_not_matter':
       'the order says which view a picture is; test_pictures_may_change_places'}
CASES = [
    LossCase(
        MLLDLoss, ONE, inputs=pair(4, 5),
        invariances={'a constant added to each row': lambda x: x + x[:, :1].detach()},
        values=[KnownValue([[0.0, 0.0]], [[log(3), 0.0]], KL + BATCH + CLASSES / 2,
                           'by hand; of two classes one is masked')]),
    LossCase(
        MLLDLoss, {**ONE, 'mask': 'each'}, inputs=pair(5, 3),
        values=[KnownValue([[0.0, 0.0]], [[log(3), 0.0]],
                           KL + BATCH + ((3 / 16) ** 2 + (1 / 16) ** 2) / 2,
                           'by hand: the second class counts alone')]),
    LossCase(
        MLLDLoss, {'temperatures': (1.0, 2.0)}, inputs=pair(4, 5), exempt=TWO,
        values=[KnownValue([[0.0, 0.0]] * 2, [[0.0, 0.0], [log(3), 0.0]], KL,
                           'the strong view differs: at temperature 1 only')]),
    LossCase(
        MLLDLoss, {'strong_relations': True, 'slipped': (), 'mask': 'none'},
        inputs=pair(2, 5, 3, 4)),
]


def test_pictures_may_change_places_if_both_views_do():
    student, teacher = doubles(6, 5), doubles(6, 5, seed=1)
    order = [1, 2, 0, 4, 5, 3]
    loss = MLLDLoss(slipped=(), strong_relations=True, mask='each')
    torch.testing.assert_close(loss(student[order], teacher[order]),
                               loss(student, teacher))


def test_a_sum_over_both_views():
    student, teacher = doubles(6, 5), doubles(6, 5, seed=1)
    both = MLLDLoss((1.0, 3.0), slipped=(), strong_relations=True, mask='none')
    one = MLLDLoss((1.0, 3.0), views=1, mask='none')
    torch.testing.assert_close(
        both(student, teacher),
        one(student[:3], teacher[:3]) + one(student[3:], teacher[3:]))


def test_at_the_slipped_temperatures_the_strong_view_counts_nothing():
    student, teacher = doubles(6, 5), doubles(6, 5, seed=1)
    other = torch.cat([student[:3], doubles(3, 5, seed=2)])
    only = MLLDLoss((2.0, 6.0))
    assert only(student, teacher) == only(other, teacher)
    assert MLLDLoss((2.0,), slipped=())(student, teacher) != (
        MLLDLoss((2.0,), slipped=())(other, teacher))


def test_relations_of_the_strong_view_count_where_asked():
    # one picture: what its strong view has of relations is its length alone
    student, teacher = doubles(2, 5), doubles(2, 5, seed=1)
    kept = {'temperatures': (1.0,), 'mask': 'none'}
    apart = (MLLDLoss(strong_relations=True, **kept)(student, teacher)
             - MLLDLoss(**kept)(student, teacher))
    wanted = (batch_relation_distance(student[1:], teacher[1:])[0]
              + class_relation_distance(student[1:], teacher[1:]).mean())
    torch.testing.assert_close(apart, wanted)


def test_each_leaves_out_the_samples_of_which_the_teacher_is_surer():
    teacher = torch.tensor([[5.0, 0.0], [0.1, 0.0], [1.0, 0.0]], dtype=torch.float64)
    student = doubles(3, 2).requires_grad_()
    divergences = class_divergence(student, teacher)
    mask = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    relations = batch_relation_distance(student, teacher)
    classes = class_relation_distance(student, teacher)
    torch.testing.assert_close(
        MLLDLoss((1.0,), views=1, mask='each')(student, teacher),
        ((divergences + relations) * mask).mean() + classes[1] / 2)


def test_as_many_pixels_as_samples_of_a_batch_cost_the_same():
    student, teacher = doubles(4, 5, 2, 3), doubles(4, 5, 2, 3, seed=1)
    rows = [torch.cat([x.permute(0, 2, 3, 1).reshape(-1, 5) for x in side.chunk(2)])
            for side in (student, teacher)]
    torch.testing.assert_close(
        MLLDLoss(samples=12)(student, teacher), MLLDLoss()(*rows))
    # twice as wide maps hold each pixel twice
    wide = [x.repeat_interleave(2, 3) for x in (student, teacher)]
    torch.testing.assert_close(MLLDLoss()(*wide), MLLDLoss()(student, teacher))


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_many_rows_give_what_the_matrix_of_pairs_gives(dtype):
    student, teacher = doubles(300, 4).to(dtype), doubles(300, 4, seed=1).to(dtype)
    q, p = student.softmax(1), teacher.softmax(1)
    torch.testing.assert_close(batch_relation_distance(student, teacher),
                               (q @ q.T - p @ p.T).square().sum(1))
    assert not batch_relation_distance(teacher, teacher).any()


def test_a_batch_of_one_picture_is_enough():
    student = doubles(2, 5).requires_grad_()
    MLLDLoss()(student, doubles(2, 5, seed=1)).backward()
    assert student.grad.isfinite().all()


def test_says_that_the_batch_has_no_views():
    with pytest.raises(ShapeError, match=r'batch of 3 does not hold two views'):
        MLLDLoss()(torch.zeros(3, 5), torch.zeros(3, 5))
    with pytest.raises(ShapeError, match='there must be another'):
        MLLDLoss()(torch.zeros(2, 1), torch.zeros(2, 1))


@pytest.mark.parametrize(('argument', 'value'), [
    ('temperatures', ()), ('temperatures', (0.0,)), ('views', 3), ('mask', 'all'),
    ('samples', 0)])
def test_refuses_arguments_out_of_range(argument, value):
    with pytest.raises(ConfigError, match=f'`{argument}`'):
        MLLDLoss(**{argument: value})


# ---- the slow twin, in plain loops from the equation --------------------------------


def softened(rows, tau):
    result = []
    for row in rows:
        powers = [exp(z / tau) for z in row]
        result.append([power / sum(powers) for power in powers])
    return result


def similar(rows):
    return [[sum(a * b for a, b in zip(one, other)) for other in rows] for one in rows]


def row_distances(one, other):
    return [sum((a - b) ** 2 for a, b in zip(*rows)) for rows in zip(one, other)]


def slow_batch_relation_distance(student, teacher, tau):
    return row_distances(*(similar(softened(x, tau)) for x in (student, teacher)))


def slow_class_relation_distance(student, teacher, tau):
    return row_distances(*(similar([*zip(*softened(x, tau))])
                           for x in (student, teacher)))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def share(values):
    """What share of the values is at most their median."""
    order = sorted(values)
    middle = (order[(len(order) - 1) // 2] + order[len(order) // 2]) / 2
    return mean(value <= middle for value in values)


def slow_released(student, teacher, temperatures):
    """The released loss, term by term; the first half are the weak views."""
    half = len(student) // 2
    weak = student[:half], teacher[:half]
    strong = student[half:], teacher[half:]

    def divergence(sides, tau):
        q, p = (softened(x, tau) for x in sides)
        return tau**2 * mean(sum(a * log(a / b) for a, b in zip(*rows))
                             for rows in zip(p, q))

    sure = softened(teacher[:half], 1)
    samples = share([max(row) for row in sure])
    classes = share([sum(column) for column in zip(*sure)])
    total = 0.0
    for tau in temperatures:
        total += samples * divergence(weak, tau)
        total += divergence(weak if tau in (2, 6) else strong, tau)
        total += samples * mean(slow_batch_relation_distance(*weak, tau))
        total += classes * mean(slow_class_relation_distance(*weak, tau))
    return total


@pytest.mark.parametrize('shape', [(2, 2), (6, 5), (10, 3), (8, 7)])
def test_equals_its_twin(shape):
    student, teacher = doubles(*shape), doubles(*shape, seed=1)
    sides = student.tolist(), teacher.tolist()
    for fast, slow in ((batch_relation_distance, slow_batch_relation_distance),
                       (class_relation_distance, slow_class_relation_distance)):
        torch.testing.assert_close(
            fast(student, teacher, tau=2.0),
            torch.tensor(slow(*sides, 2.0), dtype=torch.float64))
    torch.testing.assert_close(
        MLLDLoss()(student, teacher),
        torch.tensor(slow_released(*sides, (4, 3, 5, 2, 6)), dtype=torch.float64))
