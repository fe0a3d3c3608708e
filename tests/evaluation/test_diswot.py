"""DisWOT's terms, against the paper's matrices in plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from slow_parts import noise
from torch import nn

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.evaluation import diswot


def slow_rows(matrix):
    """The rows of a matrix with length 1, one after the other."""
    return [row / math.sqrt(sum(float(x) ** 2 for x in row)) if any(row) else row
            for row in matrix]


def slow_row_score(student, teacher):
    total, n = 0.0, len(student)
    relations = [slow_rows(torch.stack([
        torch.stack([(a * b).sum() for b in side]) for a in side]))
        for side in (student, teacher)]
    for ours, theirs in zip(*relations):
        total += float(((ours - theirs) ** 2).sum())
    return -total / n ** 2


def slow_channel_score(student, teacher):
    """The distance of ICKD between outer products, class by class."""
    total, (k, c) = 0.0, student.shape
    for s, t in zip(student, teacher):
        ours, theirs = (slow_rows(torch.outer(g, g)) for g in (s, t))
        total += sum(float(((a - b) ** 2).sum()) for a, b in zip(ours, theirs))
    return -total / (c * k)


def test_relations_of_rows_are_those_of_plain_loops():
    student, teacher = noise(5, 3), noise(5, 7, seed=1)
    found = diswot.row_score(student, teacher)
    assert found == pytest.approx(slow_row_score(student, teacher), rel=1e-5)


def test_the_authors_form_is_that_of_their_outer_products():
    student, teacher = noise(4, 6), noise(4, 6, seed=1)
    student[:, 2] = 0  # a channel that no picture excites
    teacher[1, 2] = 0
    found = diswot.channel_score(student, teacher)
    assert found == pytest.approx(slow_channel_score(student, teacher), rel=1e-5)


@pytest.mark.parametrize('score', [diswot.row_score, diswot.channel_score])
def test_a_teacher_scores_best_against_itself_at_any_scale(score):
    x = noise(4, 6)
    assert score(5 * x, x) == pytest.approx(0, abs=1e-6)
    assert score(noise(4, 6, seed=1), x) < -0.01


def test_the_authors_form_refuses_other_widths():
    with pytest.raises(ShapeError, match='c'):
        diswot.channel_score(noise(4, 6), noise(4, 5))


class Net(nn.Module):
    """A classifier as mmengine has them, of one linear layer."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Flatten(), nn.Module()
        self.head.fc = nn.Linear(4, 3, bias=False)

    def data_preprocessor(self, data, training):
        return data

    def parse_losses(self, losses):
        return losses['loss'], {}

    def forward(self, inputs, labels, mode):
        logits = self.head.fc(self.backbone(inputs))
        return {'loss': nn.functional.cross_entropy(logits, labels)}


def test_a_signature_has_the_gradient_of_each_class_and_the_last_features():
    net, inputs = Net(), noise(6, 1, 2, 2)
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    found = diswot.signature(net, dict(inputs=inputs, labels=labels))
    x = inputs.flatten(1)
    # of cross entropy: the mean over samples of (p - y) x
    p = net.head.fc(x).softmax(1) - nn.functional.one_hot(labels, 3)
    assert torch.allclose(found.gradients, p.T @ x / 6, atol=1e-6)
    assert torch.equal(found.features, x)
    assert net.head.fc.weight.grad is None


def test_an_unknown_classifier_is_told_with_a_hint():
    with pytest.raises(ConfigError, match=r'search.classifier.*Did you mean `head.fc`'):
        diswot.signature(Net(), {}, classifier='head.cf')


def test_no_part_of_an_untrained_model_reads_weights():
    config = dict(
        pretrained='open-mmlab://resnet18', layers=[dict(init_cfg=[
            dict(type='Pretrained', checkpoint='x.pth')]), 3],
        init_cfg=dict(type='Normal'))
    assert diswot.untrained(config) == dict(
        layers=[{}, 3], init_cfg=dict(type='Normal'))
