"""A toy project for tests of training: seconds a run, and random wherever it can be.

Put its folder on the path, and name it in a config's ``custom_imports``.
"""

from __future__ import annotations

import json
import os
import random
import socket
import time
import uuid
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset

HERE = str(Path(__file__).parent)
SIZE = 8
CLASSES = 3


class Stop(Exception):
    """Ends a run from inside."""


@HOOKS.register_module()
class StopAfter(Hook):
    """Stops a run after an iteration, past the point where it was saved."""

    priority = 'LOWEST'

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            raise Stop


@HOOKS.register_module()
class Spoil(Hook):
    """Makes the batches of some iterations NaN."""

    def __init__(self, at):
        self.at = at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter in self.at:
            data_batch['inputs'].fill_(float('nan'))


@DATASETS.register_module()
class ToyPixels(Dataset):
    """Pictures and label maps; augmented with each generator there is."""

    METAINFO = dict(classes=('sky', 'road', 'tree'), palette=[[0, 0, 0]] * CLASSES)

    def __init__(self, length=12, augment=True, nan_at=(), pause=0.0):
        self.length, self.augment = length, augment
        self.nan_at, self.pause = nan_at, pause
        self.metainfo = self.METAINFO

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        time.sleep(self.pause)
        own = torch.Generator().manual_seed(index)
        image = torch.randn(3, SIZE, SIZE, generator=own)
        label = (image[0] > 0).long() + (image[1] > 0.5).long()
        if self.augment:
            if random.random() < 0.5:
                image, label = image.flip(-1), label.flip(-1)
            image = image * float(np.random.uniform(0.5, 1.5))
            image = image + 0.1 * torch.randn(image.shape)
        if index in self.nan_at:
            image = image * float('nan')
        return dict(inputs=image, data_samples=label)


@MODELS.register_module()
class ToyNet(BaseModel):
    """Convolution, batch norm, dropout, classifier."""

    def __init__(self, width=4, dropout=0.3, data_preprocessor=None, init_cfg=None):
        super().__init__(data_preprocessor, init_cfg)
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.conv_seg = nn.Conv2d(width, CLASSES, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        logits = self.conv_seg(self.dropout(self.norm(self.stem(inputs)).relu()))
        if mode == 'loss':
            loss = nn.functional.cross_entropy(logits, data_samples)
            return dict(loss_ce=loss, acc=(logits.argmax(1) == data_samples).float())
        if mode == 'predict':
            return [
                BaseDataElement(pred=p, truth=t)
                for p, t in zip(logits.argmax(1), data_samples)
            ]
        return logits


@METRICS.register_module()
class PixelMetric(BaseMetric):
    """Accuracy; draws random numbers, as a careless metric might."""

    default_prefix = None

    def process(self, data_batch, data_samples):
        torch.rand(3), np.random.rand(3), random.random()
        for sample in data_samples:
            same = sample['pred'] == sample['truth']
            self.results.append(same.float().mean().item())

    def compute_metrics(self, results):
        return dict(acc=float(np.mean(results)))


@HOOKS.register_module()
class ToyPace(Hook):
    """Slows training down, and writes how far it came."""

    def __init__(self, pause=0.0, file=None):
        self.pause, self.file = pause, file

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.file:
            Path(self.file).write_text(str(runner.iter + 1))
        time.sleep(self.pause)


@HOOKS.register_module()
class ToyDump(Hook):
    """Writes what each process has in the end."""

    priority = 'LOWEST'

    def __init__(self, folder):
        self.folder = folder

    def after_train(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        info = runner.message_hub.runtime_info
        torch.save(
            dict(state_dict=model.state_dict(), skipped=info.get('skipped_batches', 0)),
            Path(self.folder) / f'rank{runner.rank}.pt',
        )


def distillation(width=4, teacher_width=8, schedule=None, adapt=False, **links):
    """Config of a distillation of `ToyNet`."""

    def link(at, loss, **student):
        return dict(
            loss=loss,
            preds_S=dict(of='student', at=at, **student),
            preds_T=dict(of='teacher', at=at),
        )

    cwd = link('conv_seg', dict(type='mmkd_ext.CWDLoss', tau=2.0, loss_weight=1.0))
    if schedule is not None:
        cwd['schedule'] = schedule
    chain = dict(loss_cwd=cwd)
    if adapt:
        adapter = dict(type='mmkd_ext.ConvAdapter')
        adapter.update(in_channels=width, out_channels=teacher_width)
        loss = dict(type='mmkd_ext.FitNetsLoss')
        chain['loss_feature'] = link('norm', loss, connector=adapter)
    return dict(
        type='mmkd_ext.TeacherDistill',
        architecture=dict(type='ToyNet', width=width),
        teacher=dict(type='ToyNet', width=teacher_width),
        distiller=dict(type='mmkd_ext.LinkDistiller', links={**chain, **links}),
    )


def mutual():
    """Config of a mutual learning of three."""
    peers = dict(
        wide=dict(model=dict(type='ToyNet', width=8), optimizer=dict(lr=0.05)),
        wider=dict(model=dict(type='ToyNet', width=12)),
    )
    return dict(
        type='mmkd_ext.MutualDistill',
        architecture=dict(type='ToyNet', width=4),
        teachers=peers,
        at='conv_seg',
        target='mean',
    )


def save_teacher(path, width=8):
    """Writes a checkpoint of `ToyNet` and returns its path."""
    torch.save(dict(state_dict=ToyNet(width=width).state_dict(), meta={}), path)
    return str(path)


def config(
    work_dir,
    *,
    model=None,
    by_epoch=False,
    length=9,
    val_interval=None,
    interval=3,
    workers=0,
    hooks=(),
    checkpoint=(),
    dataset=(),
    wrapper=(),
    save_best=None,
    randomness=None,
    sampler=None,
    **more,
):
    """Config of a whole toy run; ``length`` counts iterations or epochs."""
    loader = dict(
        batch_size=3,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=dict(type='default_collate'),
    )
    kind = 'Epoch' if by_epoch else 'Iter'
    unit = 'max_epochs' if by_epoch else 'max_iters'
    sampler = sampler or ('DefaultSampler' if by_epoch else 'InfiniteSampler')
    train_cfg = dict(type=f'{kind}BasedTrainLoop', val_interval=val_interval or 10**6)
    train_cfg[unit] = length
    optimizer = dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-3)
    stepping = dict(type='OptimWrapper', optimizer=optimizer)
    saving = dict(type='mmkd_ext.DistillCheckpointHook', interval=interval)
    saving.update(by_epoch=by_epoch, save_best=save_best)
    cfg = dict(
        default_scope='mmengine',
        custom_imports=dict(imports=['engine_toys'], allow_failed_imports=False),
        experiment_name=uuid.uuid4().hex,  # runs of one second would share a hub
        work_dir=str(work_dir),
        model=model or distillation(),
        train_dataloader=dict(
            dataset=dict(type='ToyPixels', **dict(dataset)),
            sampler=dict(type=sampler, shuffle=True),
            **loader,
        ),
        train_cfg=train_cfg,
        optim_wrapper=dict(stepping, **dict(wrapper)),
        param_scheduler=[dict(type='PolyLR', by_epoch=by_epoch, end=2 * length)],
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=by_epoch),
            checkpoint=dict(saving, **dict(checkpoint)),
        ),
        custom_hooks=[dict(type='mmkd_ext.ReproducibleStepHook'), *hooks],
        log_processor=dict(by_epoch=by_epoch),
        randomness=dict(seed=5) if randomness is None else randomness,
        log_level='ERROR',
        **more,
    )
    # also without validation there is a loader to test with
    plain = dict(
        dataset=dict(type='ToyPixels', augment=False, length=6),
        sampler=dict(type='DefaultSampler', shuffle=False),
        **loader,
    )
    plain.update(num_workers=0, persistent_workers=False)
    for part in ('test', 'val') if val_interval else ('test',):
        cfg[f'{part}_dataloader'] = plain
        cfg[f'{part}_cfg'] = dict(type=f'{part.title()}Loop')
        cfg[f'{part}_evaluator'] = dict(type='PixelMetric')
    return Config(cfg)


def train(cfg):
    """Trains in this process and returns the runner."""
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def logged(work_dir, *keys):
    """Values by iteration (validation by name) from every json log of a folder."""
    values = {}
    for file in sorted(Path(work_dir).glob('*/vis_data/*.json')):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            step = row.get('step')
            for key in keys:
                if key in row:
                    values[(key, step)] = row[key]
    return values


def briefly(config, work_dir, steps=2):
    """Trains a shipped config some steps of few pictures, and saves at the last."""
    config.train_dataloader.update(
        batch_size=2, num_workers=0, persistent_workers=False)
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps)
    config.update(param_scheduler=[], log_level='WARNING', visualizer=None)
    for split in ('val', 'test'):
        for part in ('dataloader', 'cfg', 'evaluator'):
            config[f'{split}_{part}'] = None
    config.default_hooks = dict(checkpoint=dict(
        type='mmkd_ext.DistillCheckpointHook', interval=steps, by_epoch=False))
    config.work_dir = str(work_dir)
    return config


def free_port():
    """Returns a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return str(found.getsockname()[1])


def environment(**more):
    """Environment of a subprocess that finds the package and this module."""
    root = str(Path(HERE).parents[1])
    path = os.pathsep.join([root, HERE, os.environ.get('PYTHONPATH', '')])
    return {
        **os.environ,
        'PYTHONPATH': path,
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '',
        **more,
    }
