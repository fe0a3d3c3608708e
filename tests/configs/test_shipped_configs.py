"""Every shipped distillation builds offline and trains two iterations on streets.

The links stay as they are shipped; data, sizes and first weights are swapped.
"""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmkd_ext.datasets.streets import StreetSettings, make_streets

CONFIGS = Path(__file__).parents[2] / 'configs'
SIZE = (64, 128)
SHIPPED = sorted((CONFIGS / 'distill').glob('*/*/*.py'))

pytestmark = [pytest.mark.mmdet, pytest.mark.mmseg]


@pytest.fixture(scope='session')
def streets(tmp_path_factory) -> Path:
    settings = StreetSettings(
        seed=5, height=SIZE[0], train=6, val=2, drives=1, val_drives=1, frames=2
    )
    root = tmp_path_factory.mktemp('configs') / 'streets'
    return make_streets(root, settings, workers=1).root


def offline(config: Config) -> Config:
    """Takes out what is on the internet: first weights and checkpoints."""

    def clean(node):
        if isinstance(node, dict):
            if str(node.get('init_cfg', {}) or '').find('Pretrained') >= 0:
                node['init_cfg'] = None
            if node.get('pretrained'):
                node['pretrained'] = None
            for value in node.values():
                clean(value)
        elif isinstance(node, (list, tuple)):
            for value in node:
                clean(value)

    clean(config._cfg_dict)
    model = config.model
    for key in ('architecture', 'teacher'):
        source = model.get(key)
        if isinstance(source, dict) and 'cfg_path' in source:
            backbone = source.setdefault('backbone', ConfigDict())
            backbone['init_cfg'] = None
            if 'mmseg::' in source['cfg_path']:
                source['pretrained'] = None
                source['data_preprocessor'] = dict(size=SIZE)
    for key in ('teacher_ckpt', 'student_ckpt'):
        if key in model:
            model[key] = None
    return config


def on_streets(config: Config, root: Path, work_dir: Path) -> Config:
    """Points a Cityscapes or COCO config at the streets, small and for two steps."""
    dataset = config.train_dataloader.dataset
    dataset.data_root = str(root)
    if 'Coco' in dataset.type:
        dataset.ann_file = 'annotations/instances_train.json'
        dataset.data_prefix = dict(img='leftImg8bit/train/')
    else:
        dataset.data_prefix = dict(
            img_path='leftImg8bit/train', seg_map_path='gtFine/train'
        )
    for step in dataset.pipeline:
        if 'Resize' in step['type']:
            step['scale'] = (SIZE[1], SIZE[0])
        if 'crop_size' in step:
            step['crop_size'] = SIZE
    config.train_dataloader.update(
        batch_size=2, num_workers=0, persistent_workers=False
    )
    config.train_dataloader.pop('batch_sampler', None)
    config.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
    config.param_scheduler = []
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        config[key] = None
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        config[key] = None
    config.default_hooks = dict(
        checkpoint=dict(
            type='mmkd_ext.DistillCheckpointHook', interval=2, by_epoch=False
        )
    )
    config.work_dir = str(work_dir)
    config.visualizer = None
    return config


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def test_there_are_configs():
    assert len(SHIPPED) >= 6


@pytest.mark.parametrize('path', SHIPPED, ids=name)
def test_a_shipped_config_trains_two_iterations(path, streets, tmp_path):
    config = on_streets(offline(Config.fromfile(path)), streets, tmp_path)
    links = copy.deepcopy(config.model.distiller)
    runner = Runner.from_cfg(config)
    assert config.model.distiller == links
    before = copy.deepcopy(runner.model.architecture.state_dict())
    runner.train()
    after = runner.model.architecture.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert all(value.isfinite().all() for value in after.values())
    scalars = runner.message_hub.log_scalars
    for link in links['links']:
        value = scalars[f'train/distill.{link}'].current()
        assert value > 0
        assert value < float('inf')
    student = torch.load(tmp_path / 'iter_2_student.pth', weights_only=True)
    runner.model.architecture.load_state_dict(student['state_dict'], strict=True)
