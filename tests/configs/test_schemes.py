"""Configs of schemes: chains can be read, trainings train, on a few pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from engine_toys import briefly
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd_ext.cli.chain import read_chain

pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
pytestmark = pytest.mark.mmseg

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / 'benchmarks/configs/schemes').glob('*.py'))
CHAINS = [path for path in FILES if 'chain = [' in path.read_text()]
TRAININGS = [path for path in FILES if path not in CHAINS]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Four pictures in the folders of CamVid, two of two classes in CIFAR-10's."""
    root, draw = tmp_path_factory.mktemp('data'), np.random.default_rng(0)
    for name in 'abcd':
        picture = draw.integers(0, 255, (64, 96, 3), np.uint8)
        labels = draw.integers(0, 11, (4, 6), np.uint8).repeat(16, 0).repeat(16, 1)
        files = {f'images/{name}.jpg': picture, f'labels/{name}.png': labels}
        for split in ('train', 'val'):
            for i in range(2):
                small = draw.integers(0, 255, (32, 32, 3), np.uint8)
                files[f'{split}/{name}/{i}.jpg'] = small
        for file, content in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / file), content)
    (root / 'splits').mkdir()
    for split in ('train', 'val'):
        (root / f'splits/{split}.txt').write_text('a\nb\nc\nd\n')
    return root


@pytest.mark.parametrize('path', CHAINS, ids=lambda path: path.stem)
def test_every_step_of_a_chain_is_a_training_of_the_same_data(path):
    steps = read_chain(str(path))
    assert len(steps) > 1
    assert {Path(step.config).is_file() for step in steps} == {True}
    configs = [Config.fromfile(step.config) for step in steps]
    for step, config in zip(steps, configs):
        assert config.train_dataloader == configs[0].train_dataloader
        assert not step.teachers or config.model.distiller.links
    # who teaches is who was trained
    for step, config in zip(steps, configs):
        for teacher in step.teachers.values():
            before = configs[[one.name for one in steps].index(teacher)].model
            trained = before.get('architecture', before)
            assert config.model.teacher.backbone == trained.backbone


@pytest.mark.parametrize('path', TRAININGS, ids=lambda path: path.stem)
@pytest.mark.usefixtures('_plain_dumps')
def test_a_training_goes_and_every_term_counts(path, data, tmp_path, monkeypatch):
    monkeypatch.setenv('CAMVID_ROOT', str(data))
    monkeypatch.setenv('CIFAR10_ROOT', str(data))
    monkeypatch.chdir(ROOT)
    config = Config.fromfile(path)
    for teacher in (config.model.get('teachers') or {}).values():
        teacher['ckpt'] = None
    briefly(config, tmp_path, steps=1).train_dataloader.batch_size = 4
    runner = Runner.from_cfg(config)
    runner.train()
    scalars = runner.message_hub.log_scalars
    links = [link.name for link in runner.model.distiller.links]
    names = [f'distill.{link}' for link in links]
    names += [f'{peer}.loss' for peer in runner.model.peers if 'cifar10' in path.stem]
    for name in names:
        assert 0 < scalars[f'train/{name}'].current() < float('inf'), name
