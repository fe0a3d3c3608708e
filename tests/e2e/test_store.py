"""A stored teacher teaches what the live one does, or says why it cannot."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from classifier_toys import (
    FITNETS,
    KD,
    PREPROCESSOR,
    config,
    resnet,
    sides,
    train,
    weights,
)
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope

from mmkd_ext.cli.store import main as store
from mmkd_ext.registry import MODELS

LINKS = dict(
    loss_kd=KD,
    loss_maps=dict(loss=FITNETS, **sides('backbone', item=1)),
    loss_neck=dict(loss=FITNETS, **sides('neck')),
)
FLIPPED = [
    dict(type='RandomCrop', crop_size=8, padding=2),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]


@TRANSFORMS.register_module()
class Blend(BaseTransform):
    """Mixes a picture with the one before it, as CachedMixUp does."""

    before = 0

    def transform(self, results):
        image = results['img']
        results['img'] = ((image.astype(int) + self.before) // 2).astype(np.uint8)
        self.before = image.astype(int)
        return results


@TRANSFORMS.register_module()
class OddSize(BaseTransform):
    """Makes some pictures larger."""

    def transform(self, results):
        size = random.choice([8, 12])
        results['img'] = np.zeros((size, size, 3), np.uint8)
        results['img_shape'] = (size, size)
        return results


@pytest.fixture(autouse=True)
def _plain_dumps(monkeypatch):
    text = property(lambda config: repr(config._cfg_dict))
    monkeypatch.setattr(Config, 'pretty_text', text)


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    """File of a teacher's weights."""
    path = tmp_path_factory.mktemp('teacher') / 'teacher.pth'
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(wide())
    model.init_weights()
    for module in model.modules():
        if hasattr(module, 'running_mean'):
            module.running_mean.normal_()
    torch.save(model.state_dict(), path)
    return str(path)


def wide():
    net = resnet(14, data_preprocessor=dict(PREPROCESSOR))
    net['backbone']['widths'] = (16, 24, 40, 72)
    net['head']['in_channels'] = 72
    return net


def distillation(folder, teacher, *, store=None, pipeline=FLIPPED, links=LINKS, **more):
    cfg = config(folder, teacher=wide(), links=links, **more)
    cfg.model.teacher_ckpt = teacher
    cfg.train_dataloader.dataset.pipeline = [*map(dict, pipeline)]
    if store:
        cfg.model.teacher_store = str(store)
    return cfg


def stored(cfg, out, epochs=2, *options):
    """Stores; returns the exit status."""
    path = out.parent / f'{out.name}.py'
    text = ''.join(f'{k} = {v!r}\n' for k, v in cfg.to_dict().items())
    path.write_text(text)
    return store([str(path), '--out', str(out), '--epochs', str(epochs), *options])


@pytest.fixture(scope='module')
def float32(tmp_path_factory, teacher):
    """A store of two augmentations."""
    out = tmp_path_factory.mktemp('float32') / 'store'
    assert stored(distillation(out, teacher), out) == 0
    return out


@pytest.mark.parametrize('by_epoch', [False, True])
def test_with_all_epochs_stored_the_student_is_the_same_to_the_bit(
    by_epoch, tmp_path, teacher, float32
):
    hook = dict(type='mmkd_ext.ReproducibleStepHook')
    runs = {
        'live': dict(custom_hooks=[dict(hook, augmentations=2)]),
        'stored': dict(custom_hooks=[hook], store=float32),
        'anew': dict(custom_hooks=[hook]),
    }
    if by_epoch:
        loop = dict(by_epoch=True, max_epochs=2, val_interval=2)
        saving = dict(type='mmkd_ext.DistillCheckpointHook', interval=2)
        for one in runs.values():
            one.update(train_cfg=loop, default_hooks=dict(checkpoint=saving))
    name = 'epoch_2.pth' if by_epoch else 'iter_8.pth'
    made = {}
    for key, more in runs.items():
        train(distillation(tmp_path / key, teacher, iterations=8, **more))
        made[key] = weights(tmp_path / key / name)
    assert made['live'].keys() == made['stored'].keys()
    pairs = [(made['live'][k], made['stored'][k]) for k in made['live']]
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any('aligners' in key for key in made['live'])
    # and the augmentations are other ones where each pass draws its own
    assert not all(torch.equal(made['live'][k], made['anew'][k]) for k in made['live'])
