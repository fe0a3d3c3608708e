"""Configs of CamVid that nobody has measured yet train two iterations on noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_toys import briefly
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
@pytest.mark.usefixtures('_plain_dumps')
def test_a_config_trains_two_iterations(path, camvid, tmp_path, monkeypatch):
    monkeypatch.setenv('CAMVID_ROOT', str(camvid))
    config = briefly(Config.fromfile(path), tmp_path)
    config.model.teacher_ckpt = None
    runner = Runner.from_cfg(config)
    runner.train()
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())
    scalars = runner.message_hub.log_scalars
    for link, parts in config.model.distiller.links.items():
        value = scalars[f'train/distill.{link}'].current()
        # a discriminator's score has any sign
        assert value > 0 or 'Holistic' in parts.loss.type
        assert value < float('inf')
    student = torch.load(tmp_path / 'iter_2_student.pth', weights_only=True)
    runner.model.architecture.load_state_dict(student['state_dict'], strict=True)
