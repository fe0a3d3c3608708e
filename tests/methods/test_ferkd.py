"""FerKD: cases for the laws, the slow twin, and what is special to it."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from slow_parts import sample

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import FerKDLoss, FerKDPixelLoss
from mmkd_ext.methods.ferkd import calibrated_labels
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

SETTINGS = dict(low=0.2, middle=0.4, top=0.8, eps=0.3)
# By hand, of the first class: too hard, learned from the label, the teacher, too easy.
TEACHER = [[log(p) for p in row] for row in (
    [0.1, 0.6, 0.3], [0.3, 0.5, 0.2], [0.5, 0.3, 0.2], [0.9, 0.05, 0.05])]
STUDENT = [[log(p) for p in row] for row in (
    [0.2, 0.2, 0.6], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.2, 0.2, 0.6])]
HARD = -0.7 * log(0.5) - 0.3 * log(0.25)
SOFT = -0.3 * log(0.5) - 0.7 * log(0.25)
FIRST = torch.zeros(4).long()
EXEMPT = {'zero_at_equality': 'a cross entropy: that of the target at equality'}


def labels_of(generator):
    return {'labels': torch.randint(5, (16,), generator=generator)}


def samples_of(generator):
    labels = torch.randint(6, (2, 6, 8), generator=generator)
    labels = labels.masked_fill(labels == 5, 255)
    return {'data_samples': [sample(one[None]) for one in labels]}


def as_map(rows):
    """Rows as the pixels of a picture of one line, and a pixel more."""
    return [[[[*column, 5.0]] for column in zip(*rows)]]


WIDE = dict(low=0.05, middle=0.2, top=0.6)
CASES = [
    LossCase(
        FerKDLoss, SETTINGS, exempt=EXEMPT, inputs=pair(16, 5), extras=labels_of,
        invariances={'a constant added to each row': lambda x: x + x[:, :1].detach()},
        values=[KnownValue(STUDENT, TEACHER, (HARD + SOFT) / 2, 'two of four count',
                           {'labels': FIRST})]),
    LossCase(
        FerKDPixelLoss, SETTINGS, exempt=EXEMPT, inputs=pair(2, 5, 3, 4),
        extras=samples_of,
        values=[KnownValue(as_map(STUDENT), as_map(TEACHER), (HARD + SOFT) / 2,
                           'the last pixel is ignored',
                           {'data_samples': [sample([[[0, 0, 0, 0, 255]]])]})]),
    LossCase(FerKDLoss, WIDE, exempt=EXEMPT, inputs=pair(16, 5), extras=labels_of),
]


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_what_is_dropped_has_no_gradient_and_what_counts_that_of_its_target():
    student = torch.tensor(STUDENT).requires_grad_()
    FerKDLoss(**SETTINGS)(student, torch.tensor(TEACHER), labels=FIRST).backward()
    nothing, hard, soft = [0.0] * 3, [0.5 - 0.7, 0.25 - 0.15, 0.1], [-0.25, 0.2, 0.05]
    torch.testing.assert_close(
        2 * student.grad, torch.tensor([nothing, hard, soft, nothing]))


def test_thresholds_belong_to_what_is_kept_and_open_ones_drop_nothing():
    teacher = torch.tensor([[0.0, 0.0], [99.0, 0.0], [0.0, 999.0]])
    for bounds in ((0.5, 0.5, 0.5), (0.0, 0.0, 1.0)):
        low, middle, top = bounds
        targets, counts = calibrated_labels(
            teacher, FIRST[:3], low=low, middle=middle, top=top, eps=0.1)
        assert counts.tolist() == [True, low == 0, low == 0]
        assert torch.equal(targets[0], torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize('reduction', ['mean', 'sum', 'batchmean'])
@pytest.mark.parametrize(('labels', 'bounds'), [
    (0, dict(low=0.99, middle=1.0, top=1.0)), (0, dict(low=0, middle=0, top=0.01)),
    (255, {})])
def test_if_all_is_dropped_the_loss_is_zero_and_keeps_the_graph(
        reduction, labels, bounds):
    student, teacher = noise(2, 3, 2, 2).requires_grad_(), noise(2, 3, 2, 2, seed=1)
    samples = [sample(torch.full((1, 2, 2), labels))] * 2
    value = FerKDPixelLoss(reduction=reduction, **bounds)(
        student, teacher, data_samples=samples)
    value.backward()
    assert value == 0
    assert torch.equal(student.grad, torch.zeros_like(student))


def test_extreme_logits_are_finite():
    student = torch.tensor([[1e4, 0.0, -1e4]]).requires_grad_()
    FerKDLoss(low=0.0)(student, -student.detach(), labels=FIRST[:1]).backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize(('argument', 'settings'), [
    ('low', dict(low=-0.1)), ('middle', dict(low=0.4)), ('top', dict(top=0.2)),
    ('top', dict(top=1.5)), ('eps', dict(eps=2))])
def test_thresholds_are_in_order_and_probabilities(argument, settings):
    with pytest.raises(ConfigError, match=f'`{argument}`'):
        FerKDLoss(**settings)


def test_mixed_labels_and_one_class_are_refused():
    with pytest.raises(ShapeError, match='smoothed and mixed labels'):
        FerKDLoss()(torch.zeros(2, 3), torch.zeros(2, 3), labels=torch.zeros(2, 3))
    with pytest.raises(ShapeError, match='there must be another'):
        FerKDLoss()(torch.zeros(4, 1), torch.zeros(4, 1), labels=FIRST)


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_calibrated_labels(teacher, labels, low, middle, top, eps):
    targets, counts = [], []
    for row, label in zip(teacher, labels):
        p = [exp(z) / sum(exp(x) for x in row) for z in row]
        score = p[label]
        if score < middle:
            p = [1 - eps if c == label else eps / (len(row) - 1) for c in range(len(p))]
        targets.append(p)
        counts.append(not (score < low or score > top))
    return targets, counts


def slow_loss(student, teacher, labels, settings):
    total, kept = 0.0, 0
    for row, target, counts in zip(
            student, *slow_calibrated_labels(teacher, labels, **settings)):
        if counts:
            kept += 1
            whole = sum(exp(z) for z in row)
            total -= sum(t * log(exp(z) / whole) for t, z in zip(target, row))
    return total / kept


@pytest.mark.parametrize('settings', [SETTINGS, dict(WIDE, eps=0.0)], ids=['a', 'b'])
@pytest.mark.parametrize('shape', [(12, 2), (20, 3), (40, 11)])
def test_equals_its_twin(shape, settings):
    student, teacher = noise(*shape), 2 * noise(*shape, seed=1)
    labels = torch.arange(shape[0]) % shape[1]
    sides = student.tolist(), teacher.tolist(), labels.tolist()
    targets, counts = calibrated_labels(teacher, labels, **settings)
    slow = slow_calibrated_labels(*sides[1:], **settings)
    assert len({*counts.tolist()}) == 2
    assert counts.tolist() == slow[1]
    torch.testing.assert_close(targets, torch.tensor(slow[0], dtype=torch.float64))
    loss = FerKDLoss(**settings)(student, teacher, labels=labels)
    wanted = slow_loss(*sides, settings)
    torch.testing.assert_close(loss, torch.tensor(wanted, dtype=torch.float64))
