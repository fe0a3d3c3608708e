"""Configs of CamVid that nobody has measured yet train two iterations on noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmkd_ext import _catalog

CONFIGS = Path(__file__).parents[2] / 'benchmarks/configs/camvid'
UNMEASURED = [
    path
    for path in sorted(CONFIGS.glob('*_*_*.py'))
    if _catalog.read_recipe(path).header.get('Status') in ('unrun', 'smoke')
    and not path.name.startswith('ka_')  # needs what its first stage has trained
]

pytestmark = pytest.mark.mmseg


@pytest.fixture(scope='module')
def camvid(tmp_path_factory) -> Path:
    """Four pictures of noise at the size of CamVid's."""
    root = tmp_path_factory.mktemp('camvid')
    random = np.random.default_rng(0)
    for folder in ('images', 'labels', 'splits'):
        (root / folder).mkdir()
    for name in 'abcd':
        picture = random.integers(256, size=(360, 480, 3), dtype=np.uint8)
        Image.fromarray(picture).save(root / f'images/{name}.jpg')
        labels = random.integers(12, size=(9, 12), dtype=np.uint8).repeat(40, 0)
        labels = np.where(labels == 11, 255, labels).repeat(40, 1).astype(np.uint8)
        Image.fromarray(labels).save(root / f'labels/{name}.png')
    for split in ('train', 'val', 'dusk'):
        (root / f'splits/{split}.txt').write_text('a\nb\nc\nd\n')
    return root


@pytest.mark.parametrize('path', UNMEASURED, ids=lambda path: path.stem)
def test_a_config_trains_two_iterations(path, camvid, tmp_path, monkeypatch):
    monkeypatch.setenv('CAMVID_ROOT', str(camvid))
    # configs are dumped without yapf, which takes longer than the training
    text = property(lambda config: repr(config._cfg_dict))
    monkeypatch.setattr(Config, 'pretty_text', text)
    config = Config.fromfile(path)
    config.merge_from_dict({
        'model.teacher_ckpt': None,
        'log_level': 'WARNING',
        'train_cfg.max_iters': 2,
        'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None,
        'test_cfg': None, 'test_dataloader': None, 'test_evaluator': None,
        'train_dataloader.num_workers': 0,
        'train_dataloader.batch_size': 2,
        'default_hooks.checkpoint.interval': 2,
        'default_hooks.checkpoint.save_best': None,
        'work_dir': str(tmp_path),
    })  # fmt: skip
    runner = Runner.from_cfg(config)
    runner.train()
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())
    scalars = runner.message_hub.log_scalars
    for link in config.model.distiller.links:
        assert 0 < scalars[f'train/distill.{link}'].current() < float('inf')
    student = torch.load(tmp_path / 'iter_2_student.pth', weights_only=True)
    runner.model.architecture.load_state_dict(student['state_dict'], strict=True)
