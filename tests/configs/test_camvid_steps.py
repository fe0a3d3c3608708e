"""Each distillation on CamVid that no experiment has measured trains two iterations."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd_ext._catalog import read_recipe

FOLDER = Path(__file__).parents[2] / 'benchmarks/configs/camvid'
UNMEASURED = [
    path
    for path in sorted(FOLDER.glob('*.py'))
    if read_recipe(path).header.get('Status') == 'smoke'
]

pytestmark = pytest.mark.mmseg


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Four pictures in CamVid's layout, of all classes."""
    root = tmp_path_factory.mktemp('camvid')
    generator = np.random.default_rng(0)
    names = [f'train/{i}' for i in range(4)]
    for name in names:
        label = generator.integers(0, 11, (12, 16), dtype=np.uint8)
        label = cv2.resize(label, (480, 360), interpolation=cv2.INTER_NEAREST)
        noise = generator.integers(0, 60, (360, 480, 3), dtype=np.uint8)
        for kind, file, picture in (
            ('images', f'{name}.jpg', noise + label[..., None]),
            ('labels', f'{name}.png', label),
        ):
            path = root / kind / file
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
    (root / 'splits').mkdir()
    (root / 'splits/train.txt').write_text('\n'.join(names))
    return root


@pytest.fixture
def _plain_dumps(monkeypatch):
    """Configs are dumped without yapf, which takes longer than the training."""
    text = property(lambda config: repr(config._cfg_dict))
    monkeypatch.setattr(Config, 'pretty_text', text)


def two_iterations(path, root, work_dir):
    config = Config.fromfile(path)
    config.model.teacher_ckpt = None
    config.train_dataloader.num_workers = 0
    config.train_dataloader.dataset.data_root = str(root)
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
    config.param_scheduler = []
    for key in (
        'val_dataloader',
        'val_cfg',
        'val_evaluator',
        'test_dataloader',
        'test_cfg',
        'test_evaluator',
        'visualizer',
    ):
        config[key] = None
    del config.default_hooks['visualization']
    config.default_hooks.checkpoint.interval = 2
    config.log_level = 'WARNING'
    config.work_dir = str(work_dir)
    return config


@pytest.mark.usefixtures('_plain_dumps')
@pytest.mark.parametrize('path', UNMEASURED, ids=lambda path: path.stem)
def test_trains_two_iterations_and_gives_a_plain_student(path, root, tmp_path):
    config = two_iterations(path, root, tmp_path)
    links = copy.deepcopy(config.model.distiller.links)
    runner = Runner.from_cfg(config)
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    after = runner.model.state_dict()
    # what a link learns moves too, as does the student
    learned = [
        name
        for name, parameter in runner.model.named_parameters()
        if name.startswith(('distiller.', 'architecture.backbone.'))
        and parameter.requires_grad
    ]
    assert [name for name in learned if torch.equal(before[name], after[name])] == []
    assert all(value.isfinite().all() for value in after.values())
    scalars = runner.message_hub.log_scalars
    for link in links:
        assert scalars[f'train/distill.{link}'].current() > 0
    student = torch.load(tmp_path / 'iter_2_student.pth', weights_only=True)
    runner.model.architecture.load_state_dict(student['state_dict'], strict=True)


def test_there_are_such_configs():
    assert len(UNMEASURED) >= 2
