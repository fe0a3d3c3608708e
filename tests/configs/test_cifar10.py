"""The configs of CIFAR-10, on a few small pictures in the same folders."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from engine_toys import briefly
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd_ext.config.check import check_config
from mmkd_ext.errors import ConfigError, ShapeError

pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')

from mmpretrain.structures import DataSample

FOLDER = Path(__file__).parents[2] / 'benchmarks' / 'configs' / 'cifar10'
METHODS = sorted(
    path.name.removesuffix('_resnet56_resnet8.py')
    for path in FOLDER.glob('*_resnet56_resnet8.py')
    if not path.name.startswith('base_')
)


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """Two pictures a class to train on, one to validate on."""
    root = tmp_path_factory.mktemp('cifar10')
    draw = np.random.default_rng(0)
    for split, count in (('train', 2), ('val', 1)):
        for label in 'abcdefghij':
            folder = root / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                picture = draw.integers(0, 255, (32, 32, 3), np.uint8)
                cv2.imwrite(str(folder / f'{i}.jpg'), picture)
    return root


@pytest.fixture(autouse=True)
def _there(pictures, monkeypatch):
    monkeypatch.setenv('CIFAR10_ROOT', str(pictures))
    text = property(lambda config: repr(config._cfg_dict))
    monkeypatch.setattr(Config, 'pretty_text', text)


def read(name):
    config = Config.fromfile(FOLDER / f'{name}.py')
    config.train_dataloader.batch_size = 4
    config.train_dataloader.num_workers = 0
    config.train_dataloader.persistent_workers = False
    if config.val_dataloader:
        config.val_dataloader.num_workers = 0
    return config


def plain(node):
    return node.to_dict() if hasattr(node, 'to_dict') else node


@pytest.fixture(scope='module', params=METHODS)
def trained(request, pictures, tmp_path_factory):
    """Name of a method and the runner that has trained it for a step."""
    method = request.param
    patch = pytest.MonkeyPatch()
    patch.setenv('CIFAR10_ROOT', str(pictures))
    patch.setattr(Config, 'pretty_text', property(lambda c: repr(c._cfg_dict)))
    config = read(f'{method}_resnet56_resnet8')
    config.model.teacher_ckpt = None
    if config.model.teacher and method != 'ofd':  # which taps a block of ResNet-56
        config.model.teacher.backbone.depth = 14
    links = config.model.distiller.links
    if 'loss_crd' in links:
        links.loss_crd.loss.update(samples=20, negatives=5)
    if 'loss_sskd_similarity' in links:
        links.loss_sskd_similarity.preds_T.connector.stage_one = None
    briefly(config, tmp_path_factory.mktemp('run'), steps=1)
    config.train_dataloader.batch_size = 4
    runner = Runner.from_cfg(config)
    runner.train()
    patch.undo()
    return method, runner


def test_a_method_trains_and_every_link_teaches(trained):
    method, runner = trained
    links = runner.cfg.model.distiller.links
    parts = {re.match(r'loss_([a-z]+)', link)[1] for link in links}
    assert parts == {part.split('-')[0] for part in method.split('+')}
    for link in links:
        value = runner.message_hub.get_scalar(f'train/distill.{link}').current()
        assert 0 < value < float('inf')


def batch(pictures, side, **label):
    """Pictures in as many views as any method has, one after the other."""
    samples = [DataSample(metainfo=dict(sample_idx=i)) for i in range(pictures)] * 4
    for sample in samples:
        sample.set_data(label)
    inputs = torch.randn(len(samples), 3, side, side, generator=torch.manual_seed(0))
    return dict(inputs=inputs, data_samples=samples, mode='loss')


ONE = dict(gt_label=torch.tensor([3]))  # nine classes have no sample


def test_strange_batches_are_taken_or_refused_with_a_reason(trained):
    method, runner = trained
    model = runner.model
    for given in (batch(1, 32, **ONE), batch(2, 4, **ONE)):  # maps of 1x1 in the end
        refused = method.startswith('afd') and given['inputs'].shape[-1] == 4
        with torch.autocast('cpu', torch.bfloat16):
            if refused:
                with pytest.raises(ShapeError, match='has one position'):
                    model(**given)
                continue
            losses = model(**given)
        found = {k: v for k, v in losses.items() if k.startswith('distill')}
        assert found
        assert all(value.isfinite().all() for value in found.values()), found


def test_mixed_labels_are_refused_where_a_class_is_needed(trained, monkeypatch):
    method, runner = trained
    if method == 'dkd':
        return  # its labels are those of the student's own loss; see e2e
    monkeypatch.setattr(runner.model, 'calculate_student_loss', False)
    mixed = batch(2, 32, gt_score=torch.full((10,), 0.1))
    if method in ('wsld', 'tfkd', 'sskd', 'ferkd'):
        with pytest.raises(ConfigError, match=r'no `gt_label`.*mixup'):
            runner.model(**mixed)
    else:
        assert runner.model(**mixed)


def test_the_check_passes_but_for_the_weights_of_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read('kd_resnet56_resnet8')
    config.model.teacher.backbone.depth = 14
    problems = check_config(config).problems
    assert [problem.path for problem in problems] == ['model.teacher_ckpt']
    assert 'there is no file' in problems[0].found


@pytest.mark.parametrize('method', [m for m in METHODS if m != 'kd-int8'])
def test_both_students_learn_the_same_way(method):
    small, large = (
        plain(read(f'{method}_resnet56_resnet{depth}')._cfg_dict) for depth in (8, 20)
    )
    assert small['model']['architecture']['backbone'].pop('depth') == 8
    assert large['model']['architecture']['backbone'].pop('depth') == 20
    assert small == large


@pytest.mark.parametrize('depth', [8, 20])
def test_alone_the_student_is_what_is_distilled(depth):
    alone = read(f'student_resnet{depth}')
    distilled = read(f'dkd_resnet56_resnet{depth}')
    assert plain(alone.model) == plain(distilled.model.architecture)
    for key in ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert alone[key] == distilled[key]
