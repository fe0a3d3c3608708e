"""Attention in videos: made maps, branches, metrics, and both stages in one run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS
from projects.video_saliency import (
    AttentionMetric,
    AttentionVideos,
    FramesPerSecond,
    SaliencyNet,
)

CONFIGS = Path(__file__).parents[2] / 'projects/video_saliency/configs'


def batch(count=2, **settings):
    data = AttentionVideos(count, **settings)
    return [torch.stack([data[i][key] for i in range(count)])
            for key in ('inputs', 'data_samples')]


def test_half_of_the_attention_is_where_something_moves_and_half_is_on_a_cross():
    videos, maps = batch(12, noise=0.0, discs=0)
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(12), rtol=0.02, atol=0)
    for video, attention in zip(videos, maps):
        stands = (video == video[-1]).all(0)
        light = video[-1][~stands].max()  # of what moves
        for part in (~stands, stands & (video[-1] > 0) & (video[-1] != light)):
            y, x = np.argwhere(part.numpy()).mean(0).round().astype(int)
            near = attention[max(y - 6, 0):y + 7, max(x - 6, 0):x + 7].sum()
            assert near > 0.3
    again = AttentionVideos(99, noise=0.0, discs=0)[3]['inputs']
    assert torch.equal(again, videos[3])
    assert not torch.equal(batch(split='test')[0], batch()[0])


def test_each_branch_sees_what_it_is_named_after():
    torch.manual_seed(0)
    (video, _), frozen = batch(), batch()[0][:, -1:].repeat(1, 3, 1, 1)
    spatial, temporal = (
        SaliencyNet([branch], width=4).eval() for branch in ('spatial', 'temporal'))
    assert torch.equal(spatial(video), spatial(frozen))
    assert not torch.allclose(temporal(video), temporal(frozen))
    # the same change everywhere is no change from frame to frame
    torch.testing.assert_close(temporal(video + 1), temporal(video))
    both = SaliencyNet(width=4, shrink=2).eval()
    assert both(video).shape == (2, 48, 48)
    assert both.spatial(video[:, -1:])[1].shape == (2, 1, 48, 48)


def test_the_loss_is_the_divergence_from_the_made_map():
    model, (video, maps) = SaliencyNet(width=4), batch()
    model.eval()
    log = model(video).flatten(1).log_softmax(1).view_as(maps)
    by_hand = (maps.xlogy(maps) - maps * log).sum((1, 2)).mean()
    torch.testing.assert_close(model(video, maps, mode='loss')['loss_map'], by_hand)
    found = model(video, maps, mode='predict')[0]['map']
    torch.testing.assert_close(found, log[0].exp())


def test_correlation_and_divergence_of_maps():
    metric = AttentionMetric()
    one, two = torch.tensor([[0.5, 0.5, 0, 0]]), torch.tensor([[0.25] * 4])
    other = torch.tensor([[0.5, 0, 0.5, 0]])
    metric.process(None, [dict(map=one, truth=one), dict(map=other, truth=one)])
    found = metric.compute_metrics(metric.results)
    # of `other`: half is where it should be, half meets the floor of 1e-12
    assert found['CC'] == pytest.approx(50)
    assert found['KL'] == pytest.approx(0.5 * 0.5 * np.log(0.5e12), rel=1e-5)
    spread = AttentionMetric()
    spread.process(None, [dict(map=two + 1e-7 * one, truth=one)])
    assert spread.compute_metrics(spread.results)['KL'] == pytest.approx(np.log(2))


def test_frames_per_second_is_measured_on_the_model_that_is_tested():
    called, metrics = [], {}

    def model(video, mode):
        called.append((tuple(video.shape), mode))
        sum(range(100_000))

    runner = SimpleNamespace(model=SimpleNamespace(architecture=model))
    FramesPerSecond(size=12, repeats=20).after_test_epoch(runner, metrics)
    assert called == [((1, 3, 12, 12), 'tensor')] * 22
    assert 10 < metrics['video/frames/s'] < 10_000


def test_too_few_frames_and_wrong_settings_are_told():
    with pytest.raises(ConfigError, match=r'`model.frames`.*at least 3 frames.*\(2, 2'):
        SaliencyNet()(batch(frames=2)[0])
    with pytest.raises(ConfigError, match='Did you mean `spatial`'):
        SaliencyNet(['spacial'])
    with pytest.raises(ConfigError, match='frames'):
        SaliencyNet(frames=4)


def test_stage_one_is_that_of_the_branches_and_stage_two_adds_the_labels():
    config = Config.fromfile(CONFIGS / 'distilled_attention.py')
    for name, teacher in config.model.teachers.items():
        own = Config.fromfile(CONFIGS / f'teacher-{name}_attention.py').model
        assert {**own.to_dict(), 'branches': [name]} == dict(
            teacher.model.to_dict(), shrink=1)
        teacher.ckpt = None
    config.model.calculate_student_loss.begin = 1
    model = MODELS.build(config.model)
    video, maps = batch()
    first = model.loss(video, maps)
    assert set(first) == {'distill.loss_spatial', 'distill.loss_temporal'}
    sum(first.values()).backward()
    assert model.student.fuse.weight.grad is None
    assert model.student.temporal.body[0].weight.grad.abs().sum() > 0
    assert {*first, 'student.loss_map'} == set(model.loss(video, maps))
