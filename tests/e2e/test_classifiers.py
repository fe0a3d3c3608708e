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

pytestmark = pytest.mark.usefixtures('_plain_dumps')
pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
pytest.importorskip('sklearn', reason='digits')


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


# ---- schemes -----------------------------------------------------------------------


def exits(*stages):
    """BYOT: exits after stages learn the label, and what the deepest one says."""
    links, connectors = {}, {}
    label = dict(type='ModuleInputs', source='head.loss_module')
    for stage, width in stages:
        connectors[f'exit{stage}'] = [
            dict(type='mmkd_ext.ConvAdapter', in_channels=width, out_channels=64,
                 kernel_size=3, norm=True, act=True),
            dict(type='mmpretrain.GlobalAveragePooling'),
            dict(type='mmkd_ext.LinearAdapter', in_channels=64, out_channels=10)]
        out = dict(of='student', at=f'backbone.layer{stage}', connector=f'exit{stage}')
        links[f'loss_label{stage}'] = dict(
            loss=dict(type='mmpretrain.CrossEntropyLoss', loss_weight=0.7),
            cls_score=out,
            label=dict(of='student', at=label, item=1))
        links[f'loss_soft{stage}'] = dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=3.0, loss_weight=0.3),
            preds_S=out, preds_T=dict(of='student', at='head'))
    return dict(type='mmkd_ext.LinkDistiller', links=links, connectors=connectors)


def test_exits_of_a_classifier_learn_from_the_deepest_and_are_left_behind(tmp_path):
    cfg = config(tmp_path)
    model = dict(type='mmkd_ext.TeacherDistill', architecture=resnet(), teachers={})
    cfg.model = dict(model, distiller=exits((1, 16), (2, 32)))
    report = check_config(cfg)
    assert report.ok, report.problems
    # each exit moves what lies before it, and the deepest one stays a constant
    moved = {t.name: t.gradient for t in report.terms}
    for name in ('label1', 'label2', 'soft1', 'soft2'):
        assert moved[f'distill.loss_{name}'] > 0
    runner = train(cfg)
    batch = runner.model.data_preprocessor(next(iter(runner.train_dataloader)), True)
    losses = runner.model(**batch, mode='loss')
    runner.model.zero_grad()
    losses['distill.loss_soft1'].backward()
    reached = {
        name.split('.')[1]
        for name, p in runner.model.student.named_parameters()
        if p.grad is not None and name.startswith(('backbone.layer', 'head'))
    }
    assert reached == {'layer1'}
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        plain = MODELS.build(resnet(data_preprocessor=dict(PREPROCESSOR)))
    plain.load_state_dict(weights(tmp_path / 'iter_4_student.pth'), strict=True)


def test_classifiers_learn_from_each_other_and_the_check_shows_it(tmp_path):
    cfg = config(tmp_path, iterations=2)
    other = dict(model=resnet(14, data_preprocessor=dict(PREPROCESSOR)))
    cfg.model = dict(
        type='mmkd_ext.MutualDistill', architecture=resnet(), at='head',
        teachers=dict(deep=other, deeper=dict(model=resnet(20))), target='mean')
    report = check_config(cfg)
    assert report.ok, report.problems
    assert not report.warnings, report.warnings
    assert {m.role: m.mode for m in report.models} == dict(
        student='loss', deep='loss', deeper='loss')
    shares = [n.found for n in report.notes if n.path.endswith('preds_T')]
    assert shares[0] == 'is of `deep` 50%, `deeper` 50% in the dry run.'
    assert 'deep.loss' in {term.name for term in report.terms}
    train(cfg)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        plain = MODELS.build(resnet(14, data_preprocessor=dict(PREPROCESSOR)))
    plain.load_state_dict(weights(tmp_path / 'iter_2_deep.pth'), strict=True)
