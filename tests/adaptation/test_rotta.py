"""RoTTA: robust statistics, memory, and weights by age."""

from __future__ import annotations

import copy
import math

import adapt_toys as toys
import pytest
import torch

from mmkd_ext.adaptation.distillers.rotta import RecentMemory, timeliness
from mmkd_ext.errors import ConfigError

pytestmark = pytest.mark.mmseg
SIZE = (16, 32)
ROTTA = dict(type='mmkd_ext.RoTTADistiller', interval=2, capacity=2, views=None)


def test_running_statistics_follow_the_memory_by_alpha():
    alpha = 0.25
    built = toys.model(dict(ROTTA, alpha=alpha))
    stem = built.architecture.backbone.bn1
    taught = built.distiller.teacher.module.backbone.bn1
    mean, var = stem.running_mean.clone(), stem.running_var.clone()
    optim = toys.wrapper(built, 0.0)
    built.adapt_step(toys.batch(0, SIZE), optim)
    assert torch.equal(stem.running_mean, mean)
    built.adapt_step(toys.batch(1, SIZE), optim, step=1)
    images = [
        built.data_preprocessor(toys.batch(i, SIZE), False)['inputs'] for i in range(2)
    ]
    with torch.no_grad():
        x = built.architecture.backbone.conv1(torch.cat(images).half().float())
    expected = (1 - alpha) * mean + alpha * x.mean((0, 2, 3))
    torch.testing.assert_close(stem.running_mean, expected)
    spread = x.var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(stem.running_var, (1 - alpha) * var + alpha * spread)
    # the teacher sees the same images, with statistics of its own
    torch.testing.assert_close(taught.running_mean, expected)
    assert taught.running_mean is not stem.running_mean


def test_predictions_bring_nothing_of_their_own():
    built = toys.model(ROTTA)
    source = toys.model(dict(type='mmkd_ext.SourceDistiller'))
    ours = built.test_step(toys.batch(0, SIZE))[0].seg_logits.data
    theirs = source.test_step(toys.batch(0, SIZE))[0].seg_logits.data
    torch.testing.assert_close(ours, theirs)


def test_it_updates_every_few_images_without_noise_in_the_log():
    built = toys.model(dict(ROTTA, interval=3))
    optim = toys.wrapper(built)
    results = [built.adapt_step(toys.batch(i, SIZE), optim, step=i) for i in range(6)]
    assert [r.counts['updates'] for r in results] == [0, 0, 1, 0, 0, 1]
    assert not any(r.events for r in results)


def test_a_full_memory_loses_the_oldest_of_equals_and_the_least_sure():
    memory = RecentMemory(2)
    for number in range(3):
        memory.add(torch.full((1, 1, 1), float(number)), 0.5)
    assert [int(image) for image, _, _ in memory.items] == [1, 2]
    # what is less sure than all that is there does not come in
    memory.add(torch.full((1, 1, 1), 3.0), 1.0)
    assert [int(image) for image, _, _ in memory.items] == [1, 2]
    # ages 3 and 2 of 2: 0.818 + 0.5 and 0.731 + 0.5, the new one 0.5 + 0.7
    assert memory.score(0.5, 1) == pytest.approx(1 / (1 + math.exp(-1.5)) + 0.5)
    memory.add(torch.full((1, 1, 1), 4.0), 0.7)
    assert [int(image) for image, _, _ in memory.items] == [2, 4]


def test_older_images_weigh_less():
    assert timeliness(0) == 0.5
    assert timeliness(1) == pytest.approx(math.exp(-1) / (1 + math.exp(-1)))
    memory = RecentMemory(2)
    for number in range(2):
        memory.add(torch.full((1, 1, 1), float(number)), 0.5)
    _, weights = memory.alike(torch.zeros(1, 1, 1, 1))
    expected = torch.tensor([timeliness(1.0), timeliness(0.5)])
    torch.testing.assert_close(weights, expected)


def test_an_update_takes_images_of_one_size():
    memory = RecentMemory(4)
    for side in (2, 3, 2):
        memory.add(torch.zeros(1, side, side), 0.1)
    assert memory.alike(torch.zeros(1, 1, 2, 2))[0].shape == (2, 1, 2, 2)
    assert len(memory.alike(torch.zeros(1, 1, 5, 5))[0]) == 0
    built = toys.model(ROTTA)
    optim = toys.wrapper(built)
    built.adapt_step(toys.batch(0, SIZE), optim)
    result = built.adapt_step(toys.batch(1, (32, 32)), optim, step=1)
    assert result.counts['updates'] == 1


def test_a_network_without_batch_norm_needs_alpha_0():
    with pytest.raises(ConfigError, match='works on batch normalisation'):
        toys.model(ROTTA, norm='GN')
    built = toys.model(dict(ROTTA, alpha=0.0), norm='GN')
    before = copy.deepcopy(built.student_state_dict())
    toys.stream(built, toys.wrapper(built, 0.1), size=SIZE)
    after = built.student_state_dict()
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
