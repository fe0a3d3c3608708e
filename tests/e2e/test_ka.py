"""A bad picture leaves no trace in memories; KA's two stages by one command each."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmkd_ext.algorithms.sources import build_model
from mmkd_ext.cli import train as train_command
from mmkd_ext.engine.hooks.finite import FiniteLossHook
from mmkd_ext.errors import NonFiniteError
from mmkd_ext.registry import MODELS

pytestmark = pytest.mark.mmseg
REPOSITORY = Path(__file__).parents[2]
CLASSES = 5


def segmentor(width):
    return dict(
        cfg_path='mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        pretrained=None, data_preprocessor=dict(size=(64, 64)),
        backbone=dict(stem_channels=width, base_channels=width),
        decode_head=dict(in_channels=8 * width, channels=width, num_classes=CLASSES),
        auxiliary_head=dict(
            in_channels=4 * width, channels=width, num_classes=CLASSES))


def taps(at, **connector):
    return dict(preds_S=dict(of='student', at=at, **connector),
                preds_T=dict(of='teacher', at=at))


def remembering(loss):
    project = dict(type='mmkd_ext.CIRKDProjection', in_channels=8, out_channels=16)
    return dict(
        loss=dict(type=f'mmkd_ext.{loss}', num_classes=CLASSES, channels=16, size=8,
                  samples=4),
        data_samples=dict(of='batch', at='data_samples'),
        **taps('backbone.layer3', connector=project))


@pytest.fixture
def trained():
    """A distillation with two memories after one good step."""
    torch.manual_seed(0)
    links = dict(
        loss_cwd=dict(loss=dict(type='mmkd_ext.CWDLoss'),
                      **taps('decode_head.conv_seg')),
        loss_pixels=remembering('CIRKDPixelMemoryLoss'),
        loss_regions=remembering('CIRKDRegionMemoryLoss'))
    model = MODELS.build(dict(
        type='mmkd_ext.TeacherDistill', architecture=segmentor(2), teacher=segmentor(4),
        distiller=dict(type='mmkd_ext.LinkDistiller', links=links)))
    sgd = OptimWrapper(torch.optim.SGD(model.train().parameters(), 1e-3))
    step(model, sgd, batch())
    return model, sgd


def batch():
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    draw, samples = torch.Generator().manual_seed(7), []
    shapes = dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), (64, 64))
    for _ in range(2):
        labels = torch.randint(0, CLASSES, (1, 64, 64), generator=draw)
        truth = PixelData(data=labels)
        samples.append(SegDataSample(metainfo=shapes, gt_sem_seg=truth))
    inputs = torch.randn(2, 3, 64, 64, generator=draw)
    return dict(inputs=inputs, data_samples=samples)


def step(model, optimizer, data):
    total, _ = model.parse_losses(model(**data, mode='loss'))
    optimizer.update_params(total)


@pytest.mark.parametrize('action', ['stop', 'skip'])
def test_one_bad_picture_is_named_or_leaves_no_trace_also_not_in_memories(
        trained, action):
    model, sgd = trained
    hub = SimpleNamespace(runtime_info={}, update_info=lambda *_: None)
    runner = SimpleNamespace(model=model, iter=6, logger=logging.getLogger('x'),
                             optim_wrapper=sgd, message_hub=hub)
    data = batch()
    data['inputs'][0] = float('nan')
    before = {k: v.clone() for k, v in model.state_dict().items()}
    stops = pytest.raises(NonFiniteError, match=r'7: .*`distill.loss_cwd` is nan')
    hook = FiniteLossHook(action=action)
    hook.before_train(runner)
    try:
        with stops if action == 'stop' else nullcontext():
            hook.before_train_iter(runner, 0)
            step(model, sgd, data)
    finally:
        hook.after_train(None)
    if action == 'skip':
        changed = [k for k, v in model.state_dict().items()
                   if not torch.equal(v, before[k])]
        # what counts draws goes on: the next batch shall not draw the same again
        assert [k for k in changed if not k.endswith('.memory.steps')] == []


# ---- KA: two configs, one command each ----------------------------------------------

CONFIG = """
_base_ = [{task!r}, {pair!r}]
feature = dict(type='ModuleInputs', source='decode_head.dropout')
code = dict(channels=32, widths=(8, 4), strides=(2, 2), teacher='streets')
model = dict(
    architecture=dict(data_preprocessor=dict(size=(64, 64))),
    teacher_ckpt='teacher.pth',
    {model})
train_dataloader = dict(batch_size=2)
train_pipeline = _base_.train_pipeline
train_pipeline[3]['crop_size'] = (64, 64)
train_dataloader['dataset'] = dict(data_root={root!r}, pipeline=train_pipeline)
train_cfg = dict(max_iters={length})
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
param_scheduler = []
log_level = 'WARNING'
default_hooks = dict(checkpoint=dict(interval=2))
"""
STAGE_ONE = """student_trainable=False, calculate_student_loss=False,
    distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_ka=dict(
        loss=dict(type='mmkd_ext.KAReconstructionLoss', alpha=1e-7, **code),
        preds_S=dict(of='teacher', item=0, at=feature),
        preds_T=dict(of='teacher', item=0, at=feature))))"""
STAGE_TWO = """distiller=dict(
        type='mmkd_ext.LinkDistiller',
        connectors=dict(encoder=dict(
            type='mmkd_ext.KAEncoder', stage_one='ka-autoencoder.py', **code)),
        links={
            f'loss_{name}': dict(
                loss=dict(type=f'mmkd_ext.KA{kind}Loss', **norms),
                preds_S=dict(of='student', item=0, at=feature, connector=dict(
                    type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=4,
                    kernel_size=3, norm=True, act=True)),
                preds_T=dict(of='teacher', item=0, at=feature, connector='encoder'))
            for name, kind, norms in [
                ('adapt', 'Adapt', dict(p=2.0, q=1.0)), ('affinity', 'Affinity', {})]})
"""


@pytest.fixture(scope='module')
def place(tmp_path_factory, small_streets):
    """A folder with streets, a teacher's weights, and the two configs."""
    root = tmp_path_factory.mktemp('ka')
    pair = REPOSITORY / 'configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py'
    task = REPOSITORY / 'configs/_base_/tasks/streets_demo.py'
    torch.manual_seed(3)
    config = dict(Config.fromfile(pair).model.teacher, _scope_='mmseg')
    teacher = build_model(config, 'teacher')
    torch.save({'state_dict': teacher.state_dict()}, root / 'teacher.pth')
    for name, model, length in [('ka-autoencoder', STAGE_ONE, 4), ('ka', STAGE_TWO, 2)]:
        (root / f'{name}.py').write_text(CONFIG.format(
            task=str(task), pair=str(pair), model=model, root=str(small_streets),
            length=length))
    return root


@pytest.fixture
def train(place, monkeypatch):
    """`mmkd train CONFIG`, in that folder; returns the exit code."""
    monkeypatch.chdir(place)
    # configs are dumped without yapf, which takes longer than the training
    monkeypatch.setattr(
        Config, 'pretty_text', property(lambda config: repr(config._cfg_dict)))
    return lambda *arguments: train_command.main(list(arguments))


def weights(path):
    return torch.load(path, weights_only=True)['state_dict']


def test_stage_two_says_which_command_comes_first(train, capsys):
    assert train('ka.py', '--work-dir', 'nowhere')
    said = capsys.readouterr()
    said = said.out + said.err
    assert 'connectors.encoder' in said
    assert 'work_dirs/ka-autoencoder' in said
    assert 'tools/train.py ka-autoencoder.py' in said


def test_one_command_each_and_the_second_refuses_another_teacher(train, place, capsys):
    stage_one = place / 'work_dirs' / 'ka-autoencoder'
    assert not train('ka-autoencoder.py')
    first = weights(stage_one / 'iter_4.pth')
    assert first['distiller.distill_losses.loss_ka.autoencoder.teacher_mark'].any()
    assert not train('ka.py')
    second = weights(place / 'work_dirs' / 'ka' / 'iter_2.pth')
    part = 'distiller.distill_losses.loss_ka.autoencoder.encoder.'
    encoder = {k[len(part) :]: v for k, v in first.items() if k.startswith(part)}
    assert encoder
    for key, value in encoder.items():
        assert torch.equal(second[f'distiller.connectors.encoder.encoder.{key}'], value)
    plain = weights(place / 'work_dirs' / 'ka' / 'iter_2_student.pth')
    assert not any('distiller' in key for key in plain)
    other = weights(place / 'teacher.pth')
    key = 'decode_head.conv_seg.weight'
    torch.save({'state_dict': other | {key: other[key] + 1}}, place / 'other.pth')
    # no weights of the tapped Dropout itself: those of the head around it count
    assert train(
        'ka.py', '--work-dir', 'other', '--cfg-options', 'model.teacher_ckpt=other.pth')
    said = capsys.readouterr()
    assert 'but of other weights' in said.out + said.err
