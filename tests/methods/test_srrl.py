"""SRRL: cases for the laws, the slow twin, and the teacher's classifier."""

from __future__ import annotations

import pytest
import torch
from slow_parts import doubles
from torch import nn

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import SRRLLoss
from mmkd_ext.methods.srrl import channel_mean_error, reclassified_error
from mmkd_ext.testing.laws import KnownValue, LossCase, pair


def layer(weight, bias, *, dense=False):
    weight, bias = (torch.tensor(x, dtype=torch.float64) for x in (weight, bias))
    made = (nn.Conv2d(*weight.shape[::-1], 1) if dense
            else nn.Linear(*weight.shape[::-1])).double().requires_grad_(False)
    made.weight.copy_(weight.reshape(made.weight.shape))
    made.bias.copy_(bias)
    return made


def drawn(dense):
    def extras(generator):
        weight = torch.randn(5, 3, generator=generator).tolist()
        return {'classifier': layer(weight, [0.0] * 5, dense=dense)}
    return extras


TWICE = [[1.0, 1.0], [0.0, 2.0]]
STUDENT = [[[[1.0, 3.0]], [[0.0, 2.0]]]]
ZERO = [[[[0.0, 0.0]], [[0.0, 0.0]]]]
CASES = [
    LossCase(SRRLLoss, inputs=pair(2, 3, 4, 5), extras=drawn(dense=False),
             invariances={'pixels in another order': lambda x: x.flip(2, 3)},
             values=[KnownValue(STUDENT, ZERO, (2**2 + 1**2) / 2 + (3**2 + 2**2) / 2,
                                'by hand: means 2, 1; logits 3, 2 beside the bias',
                                {'classifier': layer(TWICE, [5.0, 7.0])})]),
    LossCase(SRRLLoss, {'logit_weight': 0.5}, inputs=pair(2, 3, 4, 5),
             extras=drawn(dense=True),
             values=[KnownValue(STUDENT, ZERO, 2.5 + 0.5 * (1 + 0 + 25 + 16) / 4,
                                'by hand: logits (1, 0) and (5, 4) of two pixels',
                                {'classifier': layer(TWICE, [5.0, 7.0], dense=True)})]),
    LossCase(SRRLLoss, {'logit_weight': 2.0}, inputs=pair(4, 3),
             extras=drawn(dense=False)),
]


def test_the_classifier_stays_as_it_is_and_the_student_gets_a_gradient():
    classifier = layer(TWICE, [0.0, 1.0], dense=True)
    before = classifier.weight.clone()
    student = doubles(2, 2, 3, 4).requires_grad_()
    SRRLLoss()(student, doubles(2, 2, 3, 4, seed=1), classifier=classifier).backward()
    assert student.grad.any()
    assert classifier.weight.grad is None
    assert torch.equal(classifier.weight, before)


def test_without_the_logits_only_the_means_count():
    student, teacher = doubles(2, 2, 3, 4), doubles(2, 2, 3, 4, seed=1)
    moved = student + doubles(1, 1, 3, 4, seed=2)
    moved = moved - (moved - student).mean((2, 3), keepdim=True)
    loss = SRRLLoss(logit_weight=0.0)
    classifier = layer(TWICE, [0.0, 0.0], dense=True)
    torch.testing.assert_close(loss(moved, teacher, classifier=classifier),
                               loss(student, teacher, classifier=classifier))


@pytest.mark.parametrize(('dense', 'message'), [
    (True, r'takes features \(n 2 h w\), but got \(1, 3, 2, 2\)'),
    (False, r'takes features \(n 2\) or \(n 2 h w\), but got \(1, 3, 2, 2\)')])
def test_says_that_the_classifier_is_of_another_width(dense, message):
    sides = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    with pytest.raises(ShapeError, match=message):
        SRRLLoss()(*sides, classifier=layer(TWICE, [0.0, 0.0], dense=dense))


def test_a_segmentor_classifies_maps_only():
    with pytest.raises(ShapeError, match=r'\(n 2 h w\)'):
        SRRLLoss()(torch.zeros(1, 2), torch.zeros(1, 2),
                   classifier=layer(TWICE, [0.0, 0.0], dense=True))


@pytest.mark.parametrize('other', [nn.Conv2d(2, 2, 3), nn.Sequential(nn.Linear(2, 2))])
def test_a_classifier_is_a_linear_layer_or_a_convolution_of_a_pixel(other):
    with pytest.raises(ConfigError, match=r'1x1 convolution, but is `\w+`\. Tap'):
        SRRLLoss()(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2), classifier=other)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_a_teacher_in_half_precision_classifies_in_float32(dtype):
    classifier = layer(TWICE, [0.0, 1.0]).to(dtype)
    student, teacher = (x.to(dtype) for x in (doubles(1, 2, 2, 2), doubles(1, 2, 2, 2)))
    value = SRRLLoss()(300 * student, teacher, classifier=classifier)
    assert value.dtype == torch.float32
    assert value.isfinite()


# ---- the slow twin, in plain loops from the equation --------------------------------


def means(image):
    pixels = [[value for row in channel for value in row] for channel in image]
    return [sum(channel) / len(channel) for channel in pixels]


def mean_square(one, other):
    return sum((a - b)**2 for a, b in zip(one, other)) / len(one)


def slow_channel_mean_error(student, teacher):
    return [mean_square(means(s), means(t)) for s, t in zip(student, teacher)]


def slow_reclassified_error(student, teacher, weight, bias, *, dense):
    def logits(vector):
        return [sum(w * x for w, x in zip(row, vector)) + b
                for row, b in zip(weight, bias)]

    def of(image):
        if not dense:
            return logits(means(image))
        height, width = len(image[0]), len(image[0][0])
        return [value for y in range(height) for x in range(width)
                for value in logits([channel[y][x] for channel in image])]

    return [mean_square(of(s), of(t)) for s, t in zip(student, teacher)]


@pytest.mark.parametrize('dense', [False, True])
@pytest.mark.parametrize('shape', [(1, 1, 1, 1), (2, 3, 4, 5)])
def test_equals_its_twin(shape, dense):
    student, teacher = doubles(*shape), doubles(*shape, seed=1)
    weight, bias = doubles(4, shape[1], seed=2).tolist(), doubles(4, seed=3).tolist()
    sides = student.tolist(), teacher.tolist()
    torch.testing.assert_close(
        channel_mean_error(student, teacher),
        torch.tensor(slow_channel_mean_error(*sides), dtype=torch.float64))
    slow = slow_reclassified_error(*sides, weight, bias, dense=dense)
    torch.testing.assert_close(
        reclassified_error(student, teacher, layer(weight, bias, dense=dense)),
        torch.tensor(slow, dtype=torch.float64))
