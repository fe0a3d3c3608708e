"""DeFeat: cases for the laws, the slow twin, and what is special to the classes."""

from __future__ import annotations

import copy
from math import log

import pytest
import torch
from slow_parts import boxed, noise

from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import DeFeatAdapter, DeFeatHeadLoss, DeFeatLoss
from mmkd_ext.testing.laws import KnownValue, LossCase, pair

SIZE = (64, 96)


SAMPLES = [boxed((8.0, 8.0, 40.0, 30.0)), boxed()]
# by hand: half of the squared difference 2^2, whatever the number of cells
SIDES = torch.zeros(1, 3, 8, 12), torch.full((1, 3, 8, 12), 2.0)
ONE = {'data_samples': [boxed((8.0, 8.0, 40.0, 30.0))]}
NONE = {'data_samples': [boxed()]}
ALL = {'data_samples': [boxed((0.0, 0.0, 96.0, 64.0))]}


def samples(generator):
    return {'data_samples': copy.copy(SAMPLES)}


# Rows by hand, as in KD: two classes, the teacher at 3/4, the student at 1/2.
KL = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
FLAT, SURE = [0.0, 0.0], [log(3), 0.0]


def labels(generator):
    return {'labels': torch.tensor([0, 3, 2, 3, 3])}


CASES = [
    LossCase(
        DeFeatLoss, inputs=pair(2, 3, 4, 6), extras=samples,
        values=[
            KnownValue(*SIDES, (3 + 12) * 2, 'inside and outside, by hand', ONE),
            KnownValue(*SIDES, 12 * 2, 'without boxes', NONE),
            KnownValue(*SIDES, 3 * 2, 'a box over the whole image', ALL)],
        exempt={
            'pyramids_sum_over_levels': 'a mean over levels, and each box belongs '
            'to one of them'}),
    LossCase(
        DeFeatHeadLoss, inputs=pair(5, 4), extras=labels, temperature='tau',
        invariances={'a constant added to a row': lambda x: x + 3},
        values=[
            KnownValue(
                [FLAT, FLAT, FLAT], [SURE, SURE, FLAT], 2 * KL + 2 * KL / 2,
                'one object, two of background, by hand',
                {'labels': torch.tensor([0, 1, 1])}),
            KnownValue(
                [FLAT], [SURE], 2 * KL, 'no background', {'labels': torch.tensor([0])}),
            KnownValue(
                [FLAT, FLAT], [SURE, SURE], 2 * KL, 'a row that is ignored',
                {'labels': torch.tensor([1, -1])})]),
    LossCase(
        DeFeatHeadLoss, {'tau': 3.0, 'weight_fg': 1.0, 'weight_bg': 0.5},
        inputs=pair(5, 4), extras=labels,
        values=[
            KnownValue(
                [FLAT, FLAT], [[3 * log(3), 0.0]] * 2, 9 * KL * 1.5,
                'each weight once, tau**2 keeps the gradient',
                {'labels': torch.tensor([0, 1])})])]


def test_a_box_is_inside_on_one_level_alone():
    levels = [(8, 12), (4, 6)]
    student = [torch.zeros(1, 2, *size, requires_grad=True) for size in levels]
    teacher = [torch.ones(1, 2, *size) for size in levels]
    # sides of 24 and 48 around a finest scale of 16: levels 0 and 1
    boxes = [boxed((0.0, 0.0, 24.0, 24.0), (48.0, 16.0, 96.0, 64.0))]
    loss = DeFeatLoss(weight_fg=1.0, weight_bg=0.0, finest_scale=16.0)
    loss(student, teacher, data_samples=boxes).backward()
    first, second = (s.grad.abs().sum((0, 1)) > 0 for s in student)
    assert first[:3, :3].all()
    assert first.sum() == 9
    assert second[1:, 3:].all()
    assert second.sum() == 9


@pytest.mark.parametrize(
    'box',
    [(10.0, 10.0, 10.0, 40.0), (200.0, 10.0, 240.0, 40.0), (95.9, 63.9, 96.0, 64.0)],
    ids=['zero area', 'outside', 'the last corner'])
def test_odd_boxes_train(box):
    student = noise(1, 2, 8, 12).requires_grad_()
    loss = DeFeatLoss()(student, noise(1, 2, 8, 12, seed=1), data_samples=[boxed(box)])
    loss.backward()
    assert loss > 0
    assert student.grad.isfinite().all()


@pytest.mark.parametrize(
    'wrong', [{'weight_fg': -1}, {'weight_bg': None}, {'finest_scale': 0}])
def test_refuses_settings_of_the_neck_that_mean_nothing(wrong):
    with pytest.raises(ConfigError, match=f'`{next(iter(wrong))}`'):
        DeFeatLoss(**wrong)


def test_the_adapter_starts_almost_at_zero():
    weight = DeFeatAdapter(64, 32).conv.weight
    assert weight.shape == (32, 64, 3, 3)
    assert 0 < weight.abs().max() < 2e-4
    # fmod folds the tails of the normal distribution onto its middle
    assert 0.8e-4 < weight.std() < 1e-4
    assert not DeFeatAdapter(4).conv.bias.any()


def slow_defeat(student, teacher, mask, weight_fg, weight_bg):
    """DeFeat on one level of a batch: one number."""
    total = 0.0
    for weight, wanted in ((weight_fg, 1.0), (weight_bg, 0.0)):
        errors = [
            (student[n][c][y][x] - teacher[n][c][y][x]) ** 2
            for n in range(len(student)) for c in range(len(student[0]))
            for y in range(len(mask[0]))
            for x in range(len(mask[0][0])) if mask[n][y][x] == wanted]
        total += weight * sum(errors) / max(1, 2 * len(errors))
    return total


def test_equals_its_twin():
    student, teacher = torch.randn(2, 2, 3, 8, 12, dtype=torch.float64)
    boxes = [(8.0, 8.0, 40.0, 32.0), (50.0, 20.0, 90.0, 60.0)]
    mask = torch.zeros(2, 8, 12)
    mask[0, 1:4, 1:5] = 1  # strides of 8
    mask[1, 2:8, 6:12] = 1
    slow = slow_defeat(student.tolist(), teacher.tolist(), mask.tolist(), 3, 12)
    found = DeFeatLoss()(student, teacher, data_samples=[boxed(box) for box in boxes])
    assert found.item() == pytest.approx(slow)
