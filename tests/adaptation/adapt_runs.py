"""Toy streams through the whole loop: pictures of 32 x 64, made in this file."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from unittest import mock

import adapt_toys as toys
import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLASSES = ('road', 'house', 'tree', 'sky', 'car')
PALETTE = [[128, 64, 128], [70, 70, 70], [107, 142, 35], [70, 130, 180], [0, 0, 142]]
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmseg.PackSegInputs'),
]


class Stop(Exception):
    """Ends a run from inside."""


@HOOKS.register_module(force=True)
class StopAt(Hook):
    """Stops after so many images, past what was saved; or kills the process."""

    priority = 'LOWEST'

    def __init__(self, images, kill=False):
        self.images, self.kill, self.seen = images, kill, 0

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen += 1
        if self.seen == self.images:
            if self.kill:
                os.kill(os.getpid(), 9)
            raise Stop


@HOOKS.register_module(force=True)
class KeepPredictions(Hook):
    """Writes the labels of each image, by round, domain and image."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        cell = runner.test_loop.current
        name = f'{cell.round}_{cell.domain}_{batch_idx}.npy'
        np.save(self.folder / name, outputs[0].pred_sem_seg.data.numpy())


def draw(root, domains=('fog', 'night'), images=3, size=(32, 64), seed=0):
    """Draws domains of different brightness, each in ``<root>/<name>/{img,ann}``."""
    rng = np.random.default_rng(seed)
    for number, name in enumerate(domains):
        for kind in ('img', 'ann'):
            (Path(root) / name / kind).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            labels = rng.integers(0, len(CLASSES), (size[0] // 8, size[1] // 8))
            labels = labels.repeat(8, 0).repeat(8, 1).astype(np.uint8)
            image = np.stack([40 * labels + 10 * c for c in range(3)], -1)
            image = image * (0.4 + 0.6 * number) + rng.normal(0, 12, image.shape)
            image = image.clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(Path(root) / name / 'img' / f'{i}.png'), image)
            cv2.imwrite(str(Path(root) / name / 'ann' / f'{i}.png'), labels)
    return Path(root)


def loader(root, name, **more):
    """Config of a domain's dataloader."""
    return dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='mmseg.BaseSegDataset',
            data_root=str(root),
            data_prefix=dict(img_path=f'{name}/img', seg_map_path=f'{name}/ann'),
            img_suffix='.png',
            seg_map_suffix='.png',
            metainfo=dict(classes=CLASSES, palette=PALETTE),
            pipeline=PIPELINE,
            serialize_data=False,
        ),
        **more,
    )


def config(
    root,
    work_dir,
    distiller=None,
    *,
    lr=1e-2,
    domains=('fog', 'night'),
    guard=None,
    hooks=(),
    evaluator=None,
    keep=None,
    architecture=None,
    **loop,
):
    """Config of a whole stream."""
    distiller = distiller or dict(type='mmkd_ext.TentDistiller')
    trains = distiller['type'].split('.')[-1] not in (
        'SourceDistiller',
        'BNStatsDistiller',
    )
    if trains:
        loop.setdefault(
            'optim_wrapper', dict(optimizer=dict(type='Adam', lr=lr), clip_grad=None)
        )
    hooks = list(hooks)
    if keep is not None:
        hooks.append(dict(type='KeepPredictions', folder=str(keep)))
    return Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['adapt_runs'], allow_failed_imports=False),
            experiment_name=uuid.uuid4().hex,
            work_dir=str(work_dir),
            model=dict(
                type='mmkd_ext.ContinualAdaptation',
                architecture=architecture or toys.segmentor(),
                distiller=distiller,
                guard=guard,
            ),
            test_dataloader={},
            test_evaluator=(
                dict(type='mmseg.IoUMetric') if evaluator is None else evaluator
            ),
            test_cfg=dict(
                type='mmkd_ext.ContinualAdaptLoop',
                domains=[
                    dict(name=name, dataloader=loader(root, name)) for name in domains
                ],
                **{'rounds': 2, 'seed': 3, **loop},
            ),
            default_hooks=dict(logger=dict(type='LoggerHook', interval=10**6)),
            custom_hooks=hooks,
            log_level='ERROR',
            launcher='none',
        )
    )


def source(path, seed=0, **settings):
    """Writes a source checkpoint, with lively statistics, and returns its path."""
    built = toys.model(dict(type='mmkd_ext.SourceDistiller'), seed=seed, **settings)
    torch.save(dict(state_dict=built.student_state_dict(), meta={}), path)
    return str(path)


def run(cfg, checkpoint):
    """Runs a stream in this process; returns the runner."""
    from mmkd_ext.engine.launch import load_for_test

    # mmengine formats the config four times and asks compilers for their versions,
    # which takes longer than the stream
    with (
        mock.patch.object(Config, 'pretty_text', 'config = None'),
        mock.patch.object(Runner, '_log_env'),
    ):
        runner = Runner.from_cfg(cfg)
        load_for_test(runner.model, checkpoint)
        runner.metrics = runner.test()
    return runner


def environment():
    """Environment of a subprocess that finds the package and these modules."""
    path = os.pathsep.join([str(ROOT), str(HERE), os.environ.get('PYTHONPATH', '')])
    return {
        **os.environ,
        'PYTHONPATH': path,
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '',
    }
