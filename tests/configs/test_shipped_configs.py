"""Every shipped distillation builds offline and trains two iterations on streets.

The links stay as they are shipped; data, sizes and first weights are swapped.
"""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from engine_toys import briefly
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmkd_ext.algorithms.sources import model_config
from mmkd_ext.distillers.schedules import build_schedule

CONFIGS = Path(__file__).parents[2] / 'configs'
SIZE = (64, 128)
SHIPPED = sorted((CONFIGS / 'distill').glob('mm[ds]e[tg]/*/*.py'))  # not classifiers

pytestmark = [pytest.mark.mmdet, pytest.mark.mmseg]


def offline(config: Config) -> Config:
    """Takes out what is on the internet: first weights and checkpoints."""

    def clean(node):
        if isinstance(node, dict):
            if str(node.get('init_cfg', {}) or '').find('Pretrained') >= 0:
                node['init_cfg'] = None
            if node.get('pretrained'):
                node['pretrained'] = None
            if node.get('type') == 'mmkd_ext.KAEncoder':
                node['checkpoint'] = node['stage_one'] = None
            if str(node.get('type')).startswith('mmkd_ext.CIRKD') and 'size' in node:
                node['size'] = 20  # a full memory is 778 MB
            for value in node.values():
                clean(value)
        elif isinstance(node, (list, tuple)):
            for value in node:
                clean(value)

    clean(config._cfg_dict)
    model = config.model
    several = list((model.get('teachers') or {}).values())
    sources = [model.architecture, model.get('teacher')]
    for source in sources + [teacher['model'] for teacher in several]:
        if isinstance(source, dict) and 'cfg_path' in source:
            backbone = source.setdefault('backbone', ConfigDict())
            backbone['init_cfg'] = None
            if 'mmseg::' in source['cfg_path']:
                backbone.update(shallow_backbone(source))
                source['pretrained'] = None
                source['data_preprocessor'] = dict(size=SIZE)
            else:
                source.update(small_detector(source))
    for key in ('teacher_ckpt', 'student_ckpt'):
        if key in model:
            model[key] = None
    for teacher in several:
        teacher['ckpt'] = None
    return config


def shallow_backbone(source: dict) -> dict:
    """Overrides that make a transformer quick; every stage stays as wide."""
    backbone = model_config(source, 'model').backbone
    for key in ('num_layers', 'depths'):
        if key in backbone:
            return {key: [1] * len(backbone[key])}
    return {}


def small_detector(source: dict) -> dict:
    """Overrides that make a detector quick; neck and heads stay as they are."""
    changes = {}
    shallow = shallow_backbone(source)
    if shallow:
        changes['backbone'] = {**shallow, 'init_cfg': None}
    if 'rpn_head' in model_config(source, 'model'):
        changes['train_cfg'] = dict(rpn_proposal=dict(nms_pre=50, max_per_img=20))
    return changes


def on_streets(config: Config, root: Path, work_dir: Path) -> Config:
    """Points a Cityscapes or COCO config at the streets, small and for two steps."""
    dataset = config.train_dataloader.dataset
    while 'dataset' in dataset:  # wrappers, as one that repeats
        dataset = dataset.dataset
    if 'datasets' in dataset:  # VOC and its additional labels
        dataset = config.train_dataloader.dataset = dataset.datasets[0]
        dataset.ann_file = ''
        dataset.type = 'CityscapesDataset'
    dataset.data_root = str(root)
    if 'Coco' in dataset.type:
        dataset.ann_file = 'annotations/instances_train.json'
        dataset.data_prefix = dict(img='leftImg8bit/train/')
    else:
        dataset.data_prefix = dict(
            img_path='leftImg8bit/train', seg_map_path='gtFine/train')
        dataset.img_suffix = '_leftImg8bit.png'
        dataset.seg_map_suffix = '_gtFine_labelTrainIds.png'
    for step in dataset.pipeline:
        if 'scales' in step:
            step['scales'] = [(SIZE[1], SIZE[0]), (SIZE[1], SIZE[0] // 2)]
        elif isinstance(step.get('scale'), list):  # drawn between the two
            step['scale'] = [(SIZE[1], SIZE[0] // 2), (SIZE[1], SIZE[0])]
        elif 'Resize' in step['type']:
            step['scale'] = (SIZE[1], SIZE[0])
        for key in ('crop_size', 'size'):
            if key in step:
                step[key] = SIZE
    briefly(config, work_dir)
    config.train_dataloader.pop('batch_sampler', None)
    config.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    return config


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def test_there_are_configs():
    assert len(SHIPPED) >= 6


@pytest.mark.usefixtures('_one_block_a_stage')
def test_a_small_detector_keeps_neck_and_head_and_the_links():
    from mmdet.registry import MODELS

    (path,) = (CONFIGS / 'distill' / 'mmdet' / 'cwd').glob('cwd-fpn_retinanet-r101*')
    config = Config.fromfile(path)
    before = copy.deepcopy(config.model.distiller)
    small = offline(config).model
    assert small.distiller == before
    full = model_config(Config.fromfile(path).model.teacher, 'model.teacher')
    swapped = model_config(small.teacher, 'model.teacher')
    for key in ('neck', 'bbox_head', 'data_preprocessor'):
        assert swapped[key] == full[key], key
    backbone = MODELS.build(swapped.backbone)
    assert [len(getattr(backbone, f'layer{i}')) for i in range(1, 5)] == [1, 1, 1, 1]
    assert backbone.feat_dim == full.neck.in_channels[-1] == 2048


@pytest.mark.usefixtures('_one_block_a_stage', '_plain_dumps')
@pytest.mark.parametrize('path', SHIPPED, ids=name)
def test_a_shipped_config_trains_two_iterations(path, small_streets, tmp_path):
    config = on_streets(offline(Config.fromfile(path)), small_streets, tmp_path)
    links = copy.deepcopy(config.model.distiller)
    runner = Runner.from_cfg(config)
    assert config.model.distiller == links
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    after = runner.model.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert all(value.isfinite().all() for value in after.values())
    scalars = runner.message_hub.log_scalars
    for link, parts in links['links'].items():
        value = scalars[f'train/distill.{link}'].current()
        if 'schedule' in parts and not build_schedule(parts.schedule).factor(1, 0):
            assert value == 0  # it begins later
            continue
        # a discriminator's score has any sign
        assert value > 0 or 'Holistic' in parts.loss.type
        assert value < float('inf')
    student = torch.load(tmp_path / 'iter_2_student.pth', weights_only=True)
    runner.model.architecture.load_state_dict(student['state_dict'], strict=True)
