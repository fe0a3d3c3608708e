"""The dry run sees a student as training will, and a teacher as it will teach."""

from __future__ import annotations

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmkd_ext.algorithms.dry_run import blank_batch, run_once
from mmkd_ext.distillers.links import Source, Tap
from mmkd_ext.distillers.taps import Recorder


class Backbone(nn.Module):
    """Returns more in training, as that of DDRNet and PIDNet."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.norm(self.conv(x))
        return (x, x) if self.training else x


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.backbone(inputs)


@pytest.mark.parametrize(('stop', 'kind'), [(False, tuple), (True, torch.Tensor)])
def test_student_runs_in_training_and_teacher_not(stop, kind):
    model = Model().eval()
    tap = Tap('student', Source('ModuleOutputs', 'backbone'))
    recorder = Recorder('student', [tap])
    mean = model.backbone.norm.running_mean.clone()
    assert run_once(model, recorder, blank_batch(model), stop=stop) == 'tensor'
    assert isinstance(recorder.value(tap), kind)
    assert not model.training
    assert torch.equal(model.backbone.norm.running_mean, mean)


@pytest.mark.parametrize(
    ('pool', 'side'),
    [
        (nn.AvgPool2d(2), 128),
        (nn.AvgPool2d(16), 128),
        (nn.AvgPool2d(49, stride=(16, 20)), 512),
        (nn.AvgPool2d((20, 17)), 256),
        (nn.AvgPool2d(17, stride=8, padding=8), 128),
        (nn.AdaptiveAvgPool2d(1), 128),
    ],
)
def test_the_blank_image_is_as_large_as_a_pooling_window_needs(pool, side):
    model = Model()
    model.pool = pool
    assert blank_batch(model)['inputs'].shape == (1, 3, side, side)
    assert blank_batch(model, 64)['inputs'].shape == (1, 3, 64, 64)


@pytest.mark.mmseg
def test_a_segmentors_sample_has_edges_for_pidnet():
    from mmseg.models import EncoderDecoder

    class Segmentor(EncoderDecoder):
        def __init__(self):
            BaseModel.__init__(self)

    (sample,) = blank_batch(Segmentor(), 32)['data_samples']
    assert sample.gt_edge_map.data.shape == sample.gt_sem_seg.data.shape == (1, 32, 32)
