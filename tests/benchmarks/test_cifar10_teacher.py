"""A file of others becomes a checkpoint of mmpretrain."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from mmkd_ext.backbones import SmallResNet
from mmkd_ext.errors import CheckpointError

SCRIPT = Path(__file__).parents[2] / 'benchmarks' / 'cifar10_teacher.py'


@pytest.fixture(scope='module')
def convert():
    spec = importlib.util.spec_from_file_location('cifar10_teacher', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.convert


@pytest.fixture
def theirs():
    """Weights as the others name them, without the counts of an old torch."""
    net = SmallResNet(8, shortcut='pad')
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 1)
    names = {f'module.{k}': v for k, v in net.state_dict().items() if 'num_b' not in k}
    head = {
        'module.linear.weight': torch.rand(10, 64),
        'module.linear.bias': torch.rand(10),
    }
    return {**names, **head}


def test_every_weight_keeps_its_value_under_the_new_name(convert, theirs):
    ours = convert(theirs, 8)
    for name, value in theirs.items():
        name = name.removeprefix('module.')
        there = name.replace('linear.', 'head.fc.', 1)
        there = there if there != name else f'backbone.{name}'
        assert torch.equal(ours[there], value)
    SmallResNet(8, shortcut='pad').load_state_dict(
        {k[len('backbone.') :]: v for k, v in ours.items() if 'head' not in k}
    )


def test_a_file_of_another_depth_is_refused(convert, theirs):
    with pytest.raises(CheckpointError, match='no ResNet-20'):
        convert(theirs, 20)
