"""Classifiers of mmpretrain, from the check to a student's file."""

from __future__ import annotations

import pytest
import torch
from classifier_toys import (
    DKD,
    FITNETS,
    KD,
    PREPROCESSOR,
    config,
    resnet,
    sides,
    train,
    vit,
    weights,
)
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmkd_ext.config.check import check_config
from mmkd_ext.registry import MODELS

pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
pytest.importorskip('sklearn', reason='digits')


@pytest.fixture(autouse=True)
def _plain_dumps(monkeypatch):
    """Configs are dumped without yapf, which takes longer than the training."""
    text = property(lambda config: repr(config._cfg_dict))
    monkeypatch.setattr(Config, 'pretty_text', text)


def test_the_check_trains_a_step_on_the_data(tmp_path):
    report = check_config(config(tmp_path))
    assert report.ok, report.problems
    assert report.batch == '2 x 3 x 8 x 8 pictures'
    terms = [term.name for term in report.terms]
    assert terms == ['student.loss', 'distill.loss_kd']


def test_data_that_the_training_fetches_are_no_problem(tmp_path):
    cfg = config(tmp_path)
    cifar = dict(type='CIFAR10', data_root=str(tmp_path / 'gone'), split='train')
    for download, absent in ((True, 0), (False, 1)):
        dataset = dict(cifar, download=download)
        cfg.train_dataloader.dataset = Config(dict(dataset, pipeline=[]))._cfg_dict
        report = check_config(cfg)
        place = 'train_dataloader.dataset.data_root'
        assert [p.path for p in report.problems].count(place) == absent
        assert [p.path for p in report.notes].count(place) == 1 - absent
    assert not (tmp_path / 'gone').exists()


def test_a_student_with_other_classes_than_the_teacher_is_found(tmp_path):
    teacher = resnet(14, data_preprocessor=dict(PREPROCESSOR))
    teacher['head']['num_classes'] = 12
    report = check_config(config(tmp_path, teacher=teacher), data=False)
    found = [str(problem) for problem in report.problems]
    assert any('differ in classes' in one for one in found), found


def test_maps_of_a_net_that_pools_elsewhere_are_aligned(tmp_path):
    links = dict(
        loss_maps=dict(loss=FITNETS, **sides('backbone', item=1)),
        loss_vectors=dict(loss=FITNETS, **sides('neck', item=-1)),
    )
    wide = resnet(14, data_preprocessor=dict(PREPROCESSOR))
    wide['backbone']['widths'] = (16, 24, 40, 72)
    wide['head']['in_channels'] = 72
    runner = train(config(tmp_path, teacher=wide, links=links))
    plans = {plan.name: plan.alignment for plan in runner.model.distiller.plans}
    assert plans == {
        'loss_maps': '1x1 conv 32->40',
        'loss_vectors': 'linear 64->72',
    }
    saved = weights(tmp_path / 'iter_4.pth')
    assert any('aligners.loss_vectors' in key for key in saved)


def test_tokens_are_features(tmp_path):
    links = dict(
        loss_kd=KD,
        loss_tokens=dict(loss=FITNETS, **sides('backbone.layers.1')),
    )
    teacher = vit(16, data_preprocessor=dict(PREPROCESSOR))
    runner = train(config(tmp_path, student=vit(8), teacher=teacher, links=links))
    plans = {plan.name: plan.alignment for plan in runner.model.distiller.plans}
    assert plans == {'loss_kd': 'none', 'loss_tokens': 'linear 8->16'}


def test_plain_mmpretrain_loads_the_student_and_gets_its_accuracy(tmp_path):
    runner = train(config(tmp_path))
    accuracy = runner.message_hub.get_scalar('val/accuracy/top1').current()
    student = weights(tmp_path / 'iter_4_student.pth')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        plain = MODELS.build(resnet(data_preprocessor=dict(PREPROCESSOR)))
    plain.load_state_dict(student, strict=True)
    plain.eval()
    right = 0
    for batch in runner.val_dataloader:
        for sample in plain.val_step(batch):
            right += int(sample.pred_label == sample.gt_label)
    assert 100 * right / 32 == pytest.approx(accuracy)


def test_resumed_training_equals_one_that_never_stopped(tmp_path):
    hooks = [
        dict(type='mmkd_ext.ReproducibleStepHook'),
        dict(type='EMAHook', momentum=0.1),
    ]
    links = dict(loss_kd=KD, loss_fitnets=dict(loss=FITNETS, **sides('neck', item=-1)))
    # the last one fills an epoch that the first began
    whole = config(tmp_path / 'whole', links=links, iterations=6, custom_hooks=hooks)
    train(whole)
    half = config(tmp_path / 'half', links=links, iterations=6, custom_hooks=hooks)
    half.train_cfg.max_iters = half.train_cfg.val_interval = 2
    train(half)
    again = config(tmp_path / 'half', links=links, iterations=6, custom_hooks=hooks)
    again.resume = True
    train(again)
    ours, theirs = (
        torch.load(tmp_path / name / 'iter_6.pth', weights_only=True)
        for name in ('whole', 'half')
    )
    for part in ('state_dict', 'ema_state_dict'):
        assert ours[part].keys() == theirs[part].keys()
        pairs = [(ours[part][key], theirs[part][key]) for key in ours[part]]
        different = [one for one, other in pairs if not torch.equal(one, other)]
        assert not different


def test_the_teacher_sees_its_own_normalisation(tmp_path):
    other = dict(num_classes=10, mean=[0.0] * 3, std=[255.0] * 3, to_rgb=False)
    teacher = resnet(14, data_preprocessor=other)
    runner = Runner.from_cfg(config(tmp_path, teacher=teacher))
    shown = runner.model.teachers['teacher'].renormalize.describe()
    assert '127.5' in shown
    pixels = torch.randint(0, 256, (1, 3, 8, 8)).float()
    mine = (pixels.flip(1) - 127.5) / 127.5
    theirs = runner.model.teachers['teacher'].renormalize(mine, None)
    assert torch.allclose(theirs, pixels / 255, atol=1e-5)


@pytest.mark.parametrize('kind', [{}, dict(type='ClsDataPreprocessor')])
def test_mixed_pictures_reach_the_teacher_and_dkd_refuses_their_labels(kind, tmp_path):
    given = dict(data_preprocessor=dict(PREPROCESSOR, **kind))
    mixing = dict(train_cfg=dict(augments=dict(type='Mixup', alpha=0.8)))
    student = resnet(**mixing)
    student['head']['loss'] = dict(type='CrossEntropyLoss', use_soft=True)
    train(config(tmp_path / 'kd', student=student, **given))
    links = dict(loss_dkd=DKD)
    report = check_config(config(tmp_path, student=student, links=links, **given))
    found = [str(problem) for problem in report.problems]
    assert any('labels' in one and 'loss_dkd' in one for one in found), found
