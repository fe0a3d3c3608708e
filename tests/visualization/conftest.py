"""A toy distillation, its config and its weights."""

from __future__ import annotations

import distill_toys
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

import mmkd_ext.testing.toy as toy_models

LINKS = dict(
    loss_neck=distill_toys.link('neck', 'FitNetsLoss'), loss_cwd=distill_toys.link()
)


def toy_config(folder, *, length=4, hooks=(), links=None, **more):
    """Config of a whole run, seconds long; students drop values at random."""
    assert toy_models.ToyModel
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=dict(type='mmkd_ext.ToyDataset', length=6, size=32),
        collate_fn=dict(type='pseudo_collate'),
    )
    return Config(dict(
        default_scope='mmkd_ext',
        custom_imports=dict(imports=['mmkd_ext.testing.toy']),
        experiment_name=str(folder),
        work_dir=str(folder / 'run'),
        model=distill_toys.config(
            links or LINKS,
            dict(type='mmkd_ext.ToyModel', channels=4, dropout=0.3),
            dict(type='mmkd_ext.ToyModel', channels=8),
            teacher_ckpt=str(folder / 'teacher.pth'),
        ),
        train_dataloader=dict(loader, sampler=dict(type='InfiniteSampler')),
        val_dataloader=dict(
            loader, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=length, val_interval=2),
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='mmkd_ext.ToyAccuracy'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        default_hooks=dict(
            checkpoint=dict(
                type='mmkd_ext.DistillCheckpointHook', interval=100, by_epoch=False
            )
        ),
        custom_hooks=list(hooks),
        randomness=dict(seed=3),
        log_level='ERROR',
        **more,
    ))


@pytest.fixture
def make_config(tmp_path):
    """Makes configs whose teacher's checkpoint exists."""
    torch.manual_seed(0)
    teacher = toy_models.ToyModel(channels=8)
    torch.save(dict(state_dict=teacher.state_dict()), tmp_path / 'teacher.pth')

    def make(name='a', **settings):
        folder = tmp_path / name
        folder.mkdir()
        cfg = toy_config(folder, **settings)
        cfg.model.teacher_ckpt = str(tmp_path / 'teacher.pth')
        return cfg

    return make


@pytest.fixture
def train():
    """Trains and returns the runner."""

    def run(cfg):
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run
