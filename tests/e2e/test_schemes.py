"""Self-distillation and mutual learning, trained on digits and on toys."""

from __future__ import annotations

from pathlib import Path

import distill_toys
import engine_toys as toys
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from test_classifiers import PREPROCESSOR, config, resnet, train, weights
from test_ddp import assert_in_step, finish, ranks, start
from test_resume import assert_equal_runs, interrupted

from mmkd_ext.config.check import check_config
from mmkd_ext.testing.toy import toy_batch


@pytest.fixture(autouse=True)
def _plain_dumps(monkeypatch):
    """Configs are dumped without yapf, which takes longer than the training."""
    text = property(lambda config: repr(config._cfg_dict))
    monkeypatch.setattr(Config, 'pretty_text', text)


# ---- a network that teaches itself ---------------------------------------------------


def exits(*stages):
    """BYOT: an exit after each stage learns the label, and what the deepest one says."""
    links, connectors = {}, {}
    label = dict(type='ModuleInputs', source='head.loss_module')
    for stage, width in stages:
        connectors[f'exit{stage}'] = dict(
            type='mmrazor.BYOTConnector', in_channel=width, out_channel=64,
            num_classes=10, expansion=1, pool_size=2, stride=2)
        out = dict(of='student', at=f'backbone.layer{stage}', connector=f'exit{stage}')
        links[f'loss_label{stage}'] = dict(
            loss=dict(type='mmpretrain.CrossEntropyLoss', loss_weight=0.7),
            cls_score=dict(out, connector_item=1),
            label=dict(of='student', at=label, item=1))
        links[f'loss_soft{stage}'] = dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=3.0, loss_weight=0.3),
            preds_S=dict(out, connector_item=1),
            preds_T=dict(of='student', at='head'))
        links[f'loss_hint{stage}'] = dict(
            loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=0.03),
            preds_S=dict(out, connector_item=0),
            preds_T=dict(of='student', at='neck', item=-1))
    return dict(type='mmkd_ext.LinkDistiller', links=links, connectors=connectors)


def test_exits_of_a_classifier_learn_from_the_deepest_and_are_left_behind(tmp_path):
    cfg = config(tmp_path)
    model = dict(type='mmkd_ext.TeacherDistill', architecture=resnet(), teachers={})
    cfg.model = dict(model, distiller=exits((1, 16), (2, 32)))
    report = check_config(cfg)
    assert report.ok, report.problems
    # each exit moves what lies before it, and the deepest one stays a constant
    moved = {t.name: t.gradient for t in report.terms}
    assert all(moved[f'distill.loss_{n}{s}'] > 0 for n in ('label', 'soft') for s in (1, 2))
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


def test_an_auxiliary_head_learns_from_the_main_one():
    link = distill_toys.link(loss='KDLoss', of='student', student=dict(at='aux_head'))
    algorithm = distill_toys.build(link, teachers={})
    seen, batch = {}, toy_batch()
    for name in ('aux_head', 'head.conv_seg'):
        module = algorithm.student.get_submodule(name)
        module.register_forward_hook(
            lambda _, args, out, name=name: seen.update({name: out}))
    loss = distill_toys.losses_of(algorithm, batch)['loss_x']
    main = seen['head.conv_seg'].log_softmax(1)
    aux = F.interpolate(seen['aux_head'], main.shape[2:], mode='bilinear').log_softmax(1)
    torch.testing.assert_close(loss, (main.exp() * (main - aux)).sum(1).mean())
    algorithm.zero_grad()
    loss.backward()
    gradients = {n: p.grad for n, p in algorithm.student.named_parameters()}
    assert gradients['aux_head.weight'].any()
    assert gradients['head.conv_seg.weight'] is None


# ---- students that teach one another -------------------------------------------------


def mutual(**more):
    """Mutual learning of three toys."""
    peers = dict(
        wide=dict(model=dict(type='ToyNet', width=8), optimizer=dict(lr=0.05)),
        wider=dict(model=dict(type='ToyNet', width=12)),
    )
    return dict(
        type='mmkd_ext.MutualDistill', architecture=dict(type='ToyNet', width=4),
        teachers=peers, at='conv_seg', target='mean', **more)


def test_stopped_and_resumed_mutual_learning_equals_one_that_was_not(tmp_path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    settings = dict(model=mutual(), hooks=[dict(type='EMAHook', momentum=0.1)])
    settings['checkpoint'] = dict(max_keep_ckpts=2)
    toys.train(toys.config(straight, **settings))
    interrupted(resumed, 8, **settings)
    assert_equal_runs(straight, resumed, 'iter_9.pth')
    # each has its file, those of removed checkpoints are gone
    names = {path.name for path in resumed.glob('*.pth')}
    assert names == {
        f'iter_{i}{end}.pth' for i in (6, 9) for end in ('', '_student', '_wide', '_wider')}
    for name, width in dict(student=4, wide=8, wider=12).items():
        content = torch.load(resumed / f'iter_9_{name}.pth', weights_only=True)
        toys.ToyNet(width=width).load_state_dict(content['state_dict'], strict=True)
        assert f"'width': {width}" in content['meta']['cfg']


def test_processes_that_learn_together_stay_in_step(tmp_path):
    cfg = toys.config(
        tmp_path / 'run', length=4, model=mutual(),
        hooks=[dict(type='ToyDump', folder=str(tmp_path))])
    file = tmp_path / 'toy.py'
    cfg.dump(str(file))
    finish(start('dist_train.sh', file, 2, '--no-check', PORT=toys.free_port()))
    states = ranks(tmp_path)
    assert any(key.startswith('peers.wider.') for key in states[0]['state_dict'])
    assert_in_step(states)


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


def test_a_wrong_mutual_learning_is_reported_with_its_place(tmp_path):
    cfg = config(tmp_path)
    wrong = dict(model=resnet(14), optimizer=dict(lr=1, typ='SGD'))
    cfg.model = dict(
        type='mmkd_ext.MutualDistill', architecture=resnet(), at='hed',
        teachers=dict(deep=wrong))
    found = [str(problem) for problem in check_config(cfg).problems]
    assert any('loss_deep_to_student.preds_S.at' in one for one in found), found
    cfg.model.update(at='head', target='all')
    found = [str(problem) for problem in check_config(cfg).problems]
    assert any('model.target' in one for one in found), found
