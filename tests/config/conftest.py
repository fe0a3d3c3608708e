"""A small distillation that is right, for tests to break."""

from __future__ import annotations

import copy

import pytest
from mmengine.config import Config

import mmkd_ext.testing.toy  # noqa: F401  (registers the toys)

LINK = {
    'loss': {'type': 'mmkd_ext.CWDLoss', 'tau': 2.0},
    'preds_S': {'of': 'student', 'at': 'head.conv_seg'},
    'preds_T': {'of': 'teacher', 'at': 'head.conv_seg'},
}
MODEL = {
    'type': 'mmkd_ext.TeacherDistill',
    'architecture': {'type': 'mmkd_ext.ToyModel', 'channels': 4},
    'teacher': {'type': 'mmkd_ext.ToyModel', 'channels': 8},
    'distiller': {'type': 'mmkd_ext.LinkDistiller', 'links': {'loss_cwd': LINK}},
}
# what belongs to a training, all or nothing
LOADER = {
    'batch_size': 2,
    'num_workers': 0,
    'sampler': {'type': 'DefaultSampler', 'shuffle': True},
    'dataset': {'type': 'mmkd_ext.ToyDataset', 'length': 4, 'size': 32},
}
TRAINING = {
    'train_dataloader': LOADER,
    'train_cfg': {'type': 'IterBasedTrainLoop', 'max_iters': 10, 'val_interval': 5},
    'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.1}},
    'val_dataloader': {**copy.deepcopy(LOADER), 'sampler': {'type': 'DefaultSampler'}},
    'val_cfg': {'type': 'ValLoop'},
    'val_evaluator': {'type': 'mmkd_ext.ToyAccuracy'},
}


@pytest.fixture
def training():
    """Returns data, loops and optimizer, with keys changed by dotted name."""
    return lambda changes=None: changed(TRAINING, changes or {})


@pytest.fixture
def link():
    """Returns a link, with keys changed by dotted name; a `__` stands for a dot."""
    return lambda changes=None, **more: changed(LINK, {**(changes or {}), **more})


@pytest.fixture
def distillation():
    """Returns a config, with keys changed by dotted name; None deletes.

    A `__` in a keyword stands for a dot.
    """

    def make(changes=None, **keywords):
        dotted = {key.replace('__', '.'): value for key, value in keywords.items()}
        cfg = {'default_scope': 'mmkd_ext', 'model': MODEL}
        return Config(changed(cfg, {**(changes or {}), **dotted}))

    return make


def changed(config, changes):
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *parents, last = path.replace('__', '.').split('.')
        holder = config
        for key in parents:
            holder = holder.setdefault(key, {})
        if value is None:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(value)
    return config
