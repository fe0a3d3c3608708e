"""Configs of classifiers: what they hold, and two iterations of each on digits."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from engine_toys import briefly
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmkd_ext.algorithms.sources import build_model, model_config
from mmkd_ext.config.names import parse_name
from mmkd_ext.distillers.schedules import build_schedule

pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
pytest.importorskip('sklearn', reason='digits')

CONFIGS = Path(__file__).parents[2] / 'configs'
DISTILL = sorted((CONFIGS / 'distill' / 'mmpretrain').rglob('*.py'))
PLAIN = sorted((CONFIGS / 'plain' / 'mmpretrain').glob('*.py'))

#: Of RepDistiller, or of the authors.
WEIGHTS = {
    'loss_rkd_distance': 25,
    'loss_rkd_angle': 50,
    'loss_vid1': 1,
    'loss_vid3': 1,
    'loss_fsp': 50,
    'loss_semckd': 400,
    'loss_afd': 200,
    'loss_wsld': 2.5,
    'loss_srrl': 1,
    'loss_simkd': 1,
    'loss_crd': 0.8,
    'loss_mlld': 0.9,
    'loss_sskd_task': 0.1,
    'loss_sskd_plain': 0.9,
    'loss_sskd_turned': 2.7,
    'loss_sskd_similarity': 10,
}


def named(method: str, student: str) -> Config:
    (path,) = (CONFIGS / 'distill/mmpretrain' / method).glob(f'*_{student}[-_]*.py')
    return Config.fromfile(path)


def on_digits(config: Config, side: int) -> Config:
    """Points a config at the digits, for two steps."""
    links = config.model.distiller.links
    if 'loss_crd' in links:
        links.loss_crd.loss.update(samples=1437, negatives=9)
    if 'loss_ferkd' in links:  # an untrained teacher finds everything too hard
        links.loss_ferkd.loss.low = 0
    if 'loss_sskd_similarity' in links:
        links.loss_sskd_similarity.preds_T.connector.pop('stage_one')
    given = config.train_dataloader
    last = given.dataset.pipeline[-1]  # packs, maybe several views
    config.train_dataloader = dict(
        batch_size=3 if 'loss_rkd_angle' in links else 2,  # two have no relation
        num_workers=0,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        collate_fn=given.get('collate_fn', dict(type='pseudo_collate')),
        dataset=dict(
            type='mmkd_ext.DigitsDataset', enlarge=side // 8, pipeline=[last]
        ),
    )
    config.auto_scale_lr = None
    return config


@pytest.mark.usefixtures('_plain_dumps')
@pytest.mark.parametrize('path', DISTILL, ids=lambda path: path.stem)
def test_a_shipped_config_trains_two_iterations(path, tmp_path):
    config = Config.fromfile(path)
    config.model.teacher_ckpt = None
    side = 64 if path.stem.endswith('imagenet') else 32
    runner = Runner.from_cfg(on_digits(briefly(config, tmp_path), side))
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    after = runner.model.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert all(value.isfinite().all() for value in after.values())
    scalars = runner.message_hub.log_scalars
    for link, parts in config.model.distiller.links.items():
        value = scalars[f'train/distill.{link}'].current()
        schedule = parts.get('schedule')
        if schedule and not build_schedule(schedule).factor(1, 0):
            assert value == 0  # it begins later
        else:
            assert 0 < value < float('inf')
    if not config.model.get('student_trainable', True):
        return  # a first stage
    student = torch.load(tmp_path / 'iter_2_student.pth', weights_only=True)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        plain = build_model(model_config(config.model.architecture, 'a'), 'a')
    plain.load_state_dict(student['state_dict'], strict=True)


@pytest.mark.parametrize('path', DISTILL, ids=lambda path: path.stem)
def test_schedule_and_weights_are_those_of_the_papers(path):
    config, name = Config.fromfile(path), parse_name(path)
    sgd = config.optim_wrapper.optimizer
    batch = name.gpus * config.train_dataloader.batch_size
    if name.dataset == 'imagenet':
        assert (batch, sgd.lr, sgd.weight_decay) == (256, 0.1, 1e-4)
        assert config.param_scheduler.milestones == [30, 60, 90]
        assert config.train_cfg.max_epochs == 100
    else:
        own = {'mlld': 0.025}.get(name.method, 0.05)
        rate = 0.01 if name.student == 'mobilenetv2' else own
        assert (batch, sgd.lr, sgd.weight_decay) == (64, rate, 5e-4)
        assert config.param_scheduler.milestones == {
            60: [30, 45],  # SSKD's head
            240: [150, 180, 210],
            270: [180, 210, 240],  # after 30 epochs of FSP
        }[config.train_cfg.max_epochs]
        assert config.train_cfg.max_epochs == name.length
    last, unit = (4, 1e-4) if name.dataset == 'imagenet' else (3, 1e-3)
    for link, parts in config.model.distiller.links.items():
        if link in WEIGHTS:
            assert parts.loss.loss_weight == WEIGHTS[link]
        if link.startswith('loss_ofd'):  # the last stage counts whole
            assert parts.loss.loss_weight == unit / 2 ** (last - int(link[-1]))


@pytest.mark.parametrize('path', PLAIN, ids=lambda path: path.stem)
def test_a_plain_network_tells_the_classes_of_its_data_apart(path):
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = build_model(str(path), 'model').eval()
    logits = model(torch.zeros(1, 3, 32, 32))
    assert logits.shape == (1, config.data_preprocessor.num_classes)
    # what stands beside the model is its own
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx(
        config.data_preprocessor.mean
    )


def test_settings_that_the_authors_give():
    kd = named('kd', 'resnet20').model
    assert kd.architecture.head.loss.loss_weight == pytest.approx(0.1)
    assert kd.distiller.links.loss_kd.loss.loss_weight == pytest.approx(0.9)
    betas = {'resnet20': 2, 'wrn-16-2': 6, 'resnet8x4': 8, 'mobilenetv2_1xb64': 6}
    for student, beta in {**betas, 'resnet18': 0.5, 'mobilenetv2_8xb32': 2}.items():
        link = named('dkd', student).model.distiller.links.loss_dkd
        assert (link.loss.alpha, link.loss.beta) == (1, beta)
        warmed = 'schedule' in link
        assert warmed == (student in betas)
        if warmed:  # epochs are counted from 1 there
            schedule = build_schedule(link.schedule)
            factors = [schedule.factor(0, epoch) for epoch in (0, 1, 19, 50)]
            assert factors == pytest.approx([0.05, 0.1, 1, 1])
    weights = {'resnet20': 0.6, 'wrn-16-2': 5, 'resnet18': 1}
    for student, weight in weights.items():
        link = named('reviewkd', student).model.distiller.links.loss_reviewkd
        assert link.loss.loss_weight == weight
    link = named('mgd', 'resnet18').model.distiller.links.loss_mgd
    assert link.loss.loss_weight == pytest.approx(7e-5)
    assert link.preds_S.connector.mask == 'channel'
    assert link.preds_S.connector.mask_ratio == pytest.approx(0.15)
