"""DKD: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from slow_parts import (
    CALM,
    SEEDS,
    kl,
    labelled,
    random_labels,
    rows_of,
    softened,
    two_sides,
)

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.functional import class_divergence
from mmkd_ext.methods import DKDLoss, DKDPixelLoss
from mmkd_ext.methods.dkd import decoupled_divergence
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

# By hand. Teacher (1/2, 1/4, 1/4), student (1/4, 1/2, 1/4), the first class is the
# target: the teacher gives it 1/2, the student 1/4; of the rest the teacher gives the
# second 1/2, the student 2/3.
TEACHER = [[log(2), 0.0, 0.0]]
STUDENT = [[0.0, log(2), 0.0]]
TARGET = 0.5 * log(2) + 0.5 * log(2 / 3)
OTHER = 0.5 * log(3 / 4) + 0.5 * log(3 / 2)
FIRST = {'labels': torch.tensor([0])}


def labels_of(generator):
    return {'labels': torch.randint(5, (4,), generator=generator)}


def weighted_labels_of(generator):
    return {**labels_of(generator), 'label_weights': torch.tensor([1.0, 2, 0.5, 1])}


def per_row_constant(x):
    return x + torch.linspace(-3, 3, len(x), dtype=x.dtype)[:, None]


def samples_of(generator):
    return labelled(random_labels(2, 6, 5, high=5, generator=generator))


def per_pixel_constant(x):
    shape = (x.shape[0], 1, *x.shape[2:])
    count = x[:, :1].numel()
    return x + torch.linspace(-3, 3, count, dtype=x.dtype).reshape(shape)


def as_map(*rows):
    """Rows of classes as one image of one line."""
    return [[[[row[k] for row in rows]] for k in range(len(rows[0]))]]


CASES = [
    LossCase(
        DKDPixelLoss, {'beta': 0.25}, inputs=pair(2, 5, 3, 4), extras=samples_of,
        temperature='tau',
        invariances={'a constant added to each pixel': per_pixel_constant},
        values=[
            KnownValue(
                as_map(*STUDENT, *STUDENT), as_map(*TEACHER, [9, 0, 0]),
                TARGET + 0.25 * OTHER, 'the second pixel is ignored',
                labelled([[[0, 255]]])),
            KnownValue(
                as_map(*STUDENT, *STUDENT), as_map(*TEACHER, *STUDENT),
                (TARGET + 0.25 * OTHER) / 2, 'one of two pixels differs',
                labelled([[[0, 1]]]))]),
    LossCase(
        DKDLoss, {'beta': 0.25}, inputs=pair(4, 5), extras=labels_of, temperature='tau',
        invariances={'a constant added to each row': per_row_constant},
        values=[
            KnownValue(STUDENT, TEACHER, TARGET + 0.25 * OTHER, 'by hand', FIRST),
            KnownValue(
                STUDENT * 2, TEACHER + STUDENT, (TARGET + 0.25 * OTHER) / 2,
                'one of two rows differs', {'labels': torch.tensor([0, 0])})]),
    LossCase(
        DKDLoss, {'alpha': 0.0, 'beta': 8.0, 'tau': 4.0}, inputs=pair(4, 5),
        extras=weighted_labels_of,
        values=[
            KnownValue(
                [[4 * x for x in row] for row in STUDENT],
                [[4 * x for x in row] for row in TEACHER], 16 * 8 * OTHER,
                'both as skewed at tau=4; times tau**2', FIRST)])]


def test_the_background_counts_where_it_is_a_column():
    # softmax heads of two-stage detectors: the last column
    student, teacher = two_sides(3, 5)
    labels = torch.tensor([4, 4, 4])
    value = DKDLoss()(student.requires_grad_(), teacher, labels=labels)
    value.backward()
    assert value > 0
    assert student.grad.all()


@pytest.mark.parametrize('outside', [5, -1])
def test_a_row_with_a_label_beyond_the_columns_is_left_out(outside):
    # sigmoid heads: the background is label 5 of 5 columns
    student, teacher = two_sides(4, 5)
    labels = torch.tensor([1, outside, 3, outside])
    found = DKDLoss()(student.requires_grad_(), teacher, labels=labels)
    kept = torch.tensor([0, 2])
    torch.testing.assert_close(
        found, DKDLoss()(student[kept], teacher[kept], labels=labels[kept]))
    found.backward()
    assert not student.grad[[1, 3]].any()


def test_a_row_of_weight_zero_is_left_out_and_other_weights_are_alike():
    student, teacher = two_sides(3, 5)
    labels = torch.tensor([1, 2, 3])
    torch.testing.assert_close(
        DKDLoss()(student, teacher, labels=labels,
                  label_weights=torch.tensor([0.1, 0, 9])),
        DKDLoss()(student[::2], teacher[::2], labels=labels[::2]))


def test_each_level_has_its_labels():
    first, second = two_sides(4, 5), two_sides(2, 5, seed=1)
    labels = torch.tensor([0, 1, 2, 3]), torch.tensor([4, 0])
    loss = DKDLoss(beta=0.25)
    whole = loss((first[0], second[0]), (first[1], second[1]), labels=labels)
    parts = [loss(*first, labels=labels[0]), loss(*second, labels=labels[1])]
    torch.testing.assert_close(whole, sum(parts))


def test_counts_the_levels_of_the_labels():
    sides = tuple(two_sides(2, 5)), tuple(two_sides(2, 5))
    with pytest.raises(ShapeError, match='`labels` has 1 levels, but `preds_S` has 2'):
        DKDLoss()(*sides, labels=(torch.zeros(2).long(),))


@pytest.mark.parametrize('extras', [
    {'labels': torch.zeros(3).long()},
    {'labels': torch.zeros(4).long(), 'label_weights': torch.ones(3)},
    {'labels': torch.zeros(4, 5).long()}])
def test_there_is_a_label_for_each_row(extras):
    with pytest.raises(ShapeError, match='`label'):
        DKDLoss()(*two_sides(4, 5), **extras)


@pytest.mark.parametrize(
    ('argument', 'value'), [('alpha', -1), ('beta', -0.5), ('tau', 0)])
def test_refuses_weights_below_zero_and_temperatures_not_above(argument, value):
    with pytest.raises(ConfigError, match=f'`{argument}`'):
        DKDLoss(**{argument: value})


# ---- pixels of a segmentor -----------------------------------------------------------


@pytest.mark.parametrize('ignored', [255, 7])
def test_labelled_pixels_are_the_rows(ignored):
    student, teacher = two_sides(2, 5, 3, 4)
    labels = torch.arange(24).reshape(2, 3, 4) % 7
    kept = labels.flatten() < 5
    loss = DKDPixelLoss(beta=2.0, tau=3.0, ignore_index=ignored)
    found = loss(student, teacher, **labelled(labels.where(labels < 5, ignored)))
    torch.testing.assert_close(
        found, DKDLoss(beta=2.0, tau=3.0)(
            rows_of(student)[kept], rows_of(teacher)[kept],
            labels=labels.flatten()[kept]))


@pytest.mark.parametrize(('label', 'reduction'), [(255, 'mean'), (-1, 'batchmean')])
def test_all_pixels_ignored_cost_nothing_but_keep_the_graph(label, reduction):
    student, teacher = two_sides(2, 5, 3, 4)
    value = DKDPixelLoss(reduction=reduction)(
        student.requires_grad_(), teacher,
        **labelled(torch.full((2, 3, 4), label)))
    value.backward()
    assert value == 0
    assert torch.equal(student.grad, torch.zeros_like(student))


@pytest.mark.parametrize('shape', [(2, 1), (1, 1, 2, 2)])
def test_beside_the_target_there_must_be_a_class(shape):
    sides = torch.zeros(shape), torch.zeros(shape)
    labels = {'labels': torch.zeros(2).long()}
    samples = labelled(torch.ones(1, 2, 2).long())
    rows = len(shape) == 2
    loss = DKDLoss() if rows else DKDPixelLoss()
    wanted = r'1 c.*beside the target there must be another'
    with pytest.raises(ShapeError, match=wanted):
        loss(*sides, **(labels if rows else samples))
    with pytest.raises(ShapeError, match=wanted):
        loss.check_pair(*sides)


def test_says_that_labels_exceed_the_classes():
    # ADE20K without `reduce_zero_label` has label 150
    with pytest.raises(ConfigError, match='labels reach 5'):
        DKDPixelLoss()(*two_sides(1, 5, 1, 2), **labelled([[[5, 255]]]))


TAUS = st.sampled_from([0.25, 1.0, 2.0, 4.0, 20.0])
SHAPES = st.tuples(st.integers(1, 5), st.integers(2, 7))


def labelled_rows(shape, seed=0, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    sides = [spread * torch.randn(shape, generator=generator, dtype=torch.float64)
             for _ in range(2)]
    return *sides, torch.randint(shape[1], (shape[0],), generator=generator)


# ---- properties ---------------------------------------------------------------------


@CALM
@given(SHAPES, SEEDS, TAUS)
def test_the_whole_divergence_is_target_plus_other_times_what_is_left(shape, seed, tau):
    # KL = TCKD + (1 - p_t) NCKD, Eq. (5) of the paper
    student, teacher, labels = labelled_rows(shape, seed)
    target, other = decoupled_divergence(student, teacher, labels, tau=tau)
    sure = (teacher / tau).softmax(1).gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(
        target + (1 - sure) * other, class_divergence(student, teacher, tau=tau),
        rtol=1e-9, atol=1e-12 * tau**2)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_extreme_logits_stay_finite_with_their_gradient(dtype):
    # the authors' log(softmax) is minus infinity here, their offset of 1000 too small
    student = torch.tensor([[1e4, 0, 0], [0, 1e4, -1e4]], dtype=dtype).requires_grad_()
    teacher = torch.tensor([[0, 1e4, -1e4], [1e4, 0, 0]], dtype=dtype)
    target, other = decoupled_divergence(student, teacher, torch.tensor([0, 0]))
    (target + other).sum().backward()
    assert target.isfinite().all()
    assert other.isfinite().all()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize('labels', [torch.zeros(2), torch.zeros(2, dtype=torch.bool)])
def test_soft_labels_have_no_target(labels):
    with pytest.raises(ShapeError, match='must be indices of classes'):
        decoupled_divergence(torch.zeros(2, 3), torch.zeros(2, 3), labels)


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_decoupled_divergence(student, teacher, labels, tau):
    """DKD, Eq. (5) to (7): TCKD and NCKD of each row, times ``tau**2``."""
    targets, others = [], []
    for s, t, label in zip(student, teacher, labels):
        q, p = softened(s, tau), softened(t, tau)
        targets.append(tau**2 * kl([p[label], 1 - p[label]], [q[label], 1 - q[label]]))
        rest_q = [q[c] / (1 - q[label]) for c in range(len(q)) if c != label]
        rest_p = [p[c] / (1 - p[label]) for c in range(len(p)) if c != label]
        others.append(tau**2 * kl(rest_p, rest_q))
    return targets, others


@pytest.mark.parametrize(('shape', 'tau'), [((1, 2), 0.5), ((4, 3), 1), ((5, 81), 4.0)])
def test_equals_its_twin(shape, tau):
    student, teacher, labels = labelled_rows(shape)
    slow = slow_decoupled_divergence(
        student.tolist(), teacher.tolist(), labels.tolist(), tau)
    fast = decoupled_divergence(student, teacher, labels, tau=tau)
    torch.testing.assert_close(
        torch.stack(fast), torch.tensor(slow, dtype=torch.float64),
        rtol=1e-10, atol=1e-10)
