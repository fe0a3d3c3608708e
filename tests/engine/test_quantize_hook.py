"""When a student computes on integers, and when its ranges and norms rest."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmkd_ext.algorithms.quantized import Quantized, quantized_layers
from mmkd_ext.engine import QuantizeHook
from mmkd_ext.errors import ConfigError
from mmkd_ext.testing.toy import ToyModel, toy_batch


def test_ranges_are_seen_from_start_to_freeze_and_norms_rest_at_last():
    torch.manual_seed(0)
    model = Quantized(dict(type='mmkd_ext.ToyModel'))
    layer, norm = model.backbone.stages[0].conv, model.backbone.stages[0].norm
    hook = QuantizeHook(start=1, freeze=3, freeze_norms=4)
    ranges, means = [], []
    for step in range(6):
        model.train()
        hook.before_train_iter(SimpleNamespace(model=model, iter=step), step)
        batch = toy_batch()
        model(batch['inputs'] * (step + 1), batch['data_samples'], mode='loss')
        ranges.append(layer.input_range.tolist())
        means.append(norm.running_mean.tolist())
    assert ranges[0] == [0, 0]
    assert ranges[1] != ranges[0]
    assert ranges[2] != ranges[1]
    assert ranges[3] == ranges[4] == ranges[5] == ranges[2]
    assert means[3] != means[2]
    assert means[5] == means[4] == means[3]


def test_a_student_in_float_is_refused():
    runner = SimpleNamespace(model=ToyModel())
    with pytest.raises(ConfigError, match=r'mmkd_ext\.Quantized'):
        QuantizeHook().before_train(runner)
    assert not quantized_layers(runner.model)


def test_an_empty_stretch_of_observing_is_refused():
    with pytest.raises(ConfigError, match='no range would be seen'):
        QuantizeHook(start=5, freeze=5)
