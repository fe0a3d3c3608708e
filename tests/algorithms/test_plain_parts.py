"""Hooks, optimizers and loops that are written for a plain model meet the student."""

from __future__ import annotations

import copy
import logging
from types import SimpleNamespace

import distill_toys as toys
import pytest
import torch
from distill_toys import link
from mmengine.config import ConfigDict
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.runner import Runner
from torch import nn

from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mmkd_ext.testing.toy import ToyModel

# the name of a link must not be taken for that of a head
LINKS = dict(loss_head=link('neck', 'FitNetsLoss'))


def build(student, teacher=None, links=None, **more):
    return toys.build(links or LINKS, student, teacher, **more)


def rates(wrapper, model):
    """Learning rate and weight decay of each parameter by its name in the model."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for p in group['params']
        if id(p) in names
    }


# ---- attributes --------------------------------------------------------------------


def test_what_only_the_student_has_is_found_on_the_algorithm():
    student = ToyModel()
    student._of_the_student = 1
    algorithm = build(student)
    assert algorithm.backbone is student.backbone
    assert algorithm.classes == 4
    assert not any(hasattr(algorithm, name) for name in ('roi_head', '_of_the_student'))
    with pytest.raises(AttributeError, match=r"'TeacherDistill' object has no .*'nek'"):
        _ = algorithm.nek
    parts = {name.split('.')[0] for name in algorithm.state_dict()}
    assert parts == {'architecture', 'distiller'}
    children = [name for name, _ in algorithm.named_children()]
    assert children == ['data_preprocessor', 'architecture', 'distiller', 'peers']
    twin = copy.deepcopy(algorithm)
    assert twin.backbone is twin.student.backbone
    assert twin.backbone is not algorithm.backbone


# ---- hooks -------------------------------------------------------------------------


@pytest.mark.mmdet
def test_the_mode_switch_of_yolox_reaches_the_head_of_the_student():
    hooks = pytest.importorskip('mmdet.engine.hooks')
    student = ToyModel()
    student.bbox_head = nn.Identity()
    student.bbox_head.use_l1 = False
    skipped = []
    runner = SimpleNamespace(
        epoch=285,
        max_epochs=300,
        model=build(student),
        logger=logging.getLogger('x'),
        train_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(update_skip_type_keys=skipped.extend)
        ),
    )
    hooks.YOLOXModeSwitchHook().before_train_epoch(runner)
    assert student.bbox_head.use_l1
    assert skipped == ['Mosaic', 'RandomAffine', 'MixUp']


@pytest.mark.mmdet
def test_the_epoch_reaches_the_student():
    hooks = pytest.importorskip('mmdet.engine.hooks')
    student = ToyModel()
    seen = []
    student.set_epoch = seen.append
    runner = SimpleNamespace(epoch=3, model=build(student))
    hooks.SetEpochInfoHook().before_train_epoch(runner)
    assert seen == [3]


@pytest.mark.mmdet
def test_the_mean_teacher_follows_the_student():
    hooks = pytest.importorskip('mmdet.engine.hooks')
    algorithm = build(ToyModel(), ToyModel())
    runner = SimpleNamespace(iter=0, model=algorithm)
    hook = hooks.MeanTeacherHook(momentum=0.5)
    hook.before_train(runner)
    weight, theirs = (
        one.head.conv_seg.weight for one in (algorithm.student, algorithm.teacher)
    )
    assert torch.equal(weight, theirs)
    with torch.no_grad():
        weight += 1
    hook.after_train_iter(runner, 0)
    assert torch.allclose(theirs, weight - 0.5)


def test_the_average_of_weights_is_that_of_the_student():
    algorithm = build(ToyModel())
    runner = SimpleNamespace(model=algorithm, iter=0, epoch=0, logger=None)
    hook = EMAHook(momentum=0.5)
    hook.before_run(runner)
    before = algorithm.student.head.conv_seg.weight.detach().clone()
    with torch.no_grad():
        algorithm.student.head.conv_seg.weight += 1
    hook.ema_model.update_parameters(algorithm)
    # the first update copies, the second averages
    with torch.no_grad():
        algorithm.student.head.conv_seg.weight += 1
    hook.ema_model.update_parameters(algorithm)
    average = hook.ema_model.module.head.conv_seg.weight
    assert torch.allclose(average, before + 1.5)


# ---- optimizers --------------------------------------------------------------------

PARAMWISE = dict(
    norm_decay_mult=0.0,
    bias_lr_mult=2.0,
    custom_keys={'head': dict(lr_mult=10.0), 'backbone.stages.0': dict(lr_mult=0.1)},
)


def wrapper_config(**more):
    optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4)
    return dict(type='OptimWrapper', optimizer=optimizer, **more)


def test_options_by_parameter_give_the_student_the_rates_of_a_plain_run():
    algorithm = build(ToyModel())
    cfg = wrapper_config(paramwise_cfg=PARAMWISE)
    student = algorithm.student
    alone = rates(build_optim_wrapper(student, cfg), student)
    wrapper = build_optim_wrapper(algorithm, cfg)
    assert rates(wrapper, student) == alone
    assert alone['head.conv.weight'] == (0.1, 1e-4)
    assert alone['backbone.stages.0.conv.weight'] == pytest.approx((0.001, 1e-4))
    connectors = rates(wrapper, algorithm.distiller)
    assert len(connectors) == len(list(algorithm.distiller.parameters()))
    assert set(connectors.values()) == {(0.01, 1e-4)}


def test_without_options_all_is_one_group_as_ever():
    algorithm = build(ToyModel())
    (group,) = build_optim_wrapper(algorithm, wrapper_config()).optimizer.param_groups
    expected = list(algorithm.parameters())
    assert [id(p) for p in group['params']] == [id(p) for p in expected]


def test_a_student_that_is_not_trained_leaves_the_connectors_to_the_optimizer():
    algorithm = build(ToyModel(), student_trainable=False, calculate_student_loss=False)
    wrapper = build_optim_wrapper(algorithm, wrapper_config(paramwise_cfg=PARAMWISE))
    assert set(rates(wrapper, algorithm.distiller).values()) == {(0.01, 1e-4)}
    trained = [p for g in wrapper.optimizer.param_groups for p in g['params']]
    assert {id(p) for p in trained if p.requires_grad} == {
        id(p) for p in algorithm.distiller.parameters()
    }


def test_several_optimizers_cannot_share_a_connector():
    class Two:
        def __init__(self, optim_wrapper_cfg, paramwise_cfg=None):
            pass

        def __call__(self, model):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            return OptimWrapperDict(a=OptimWrapper(optimizer))

    OPTIM_WRAPPER_CONSTRUCTORS.register_module(
        name='TwoForTest', module=Two, force=True
    )
    with pytest.raises(ConfigError, match='builds several optimizers'):
        build_optim_wrapper(build(ToyModel()), dict(constructor='mmkd_ext.TwoForTest'))


def test_beside_a_discriminator_the_student_has_the_rates_of_a_plain_run_too():
    holistic = link(inputs=dict(of='batch', at='inputs'))
    holistic['loss'] = dict(
        type='mmkd_ext.SKDSHolisticLoss', channels=4, widths=(4, 8), attention=1
    )
    links = dict(LINKS, loss_holistic=holistic)
    algorithm = build(ToyModel(), links=links)
    cfg = wrapper_config(paramwise_cfg=PARAMWISE)
    expected = rates(build_optim_wrapper(algorithm.student, cfg), algorithm.student)
    adversarial = dict(cfg, constructor='mmkd_ext.AdversarialOptimWrapperConstructor')
    wrapper = build_optim_wrapper(algorithm, adversarial)
    assert rates(wrapper, algorithm.student) == expected
    connectors = rates(wrapper, algorithm.distiller)
    assert set(connectors.values()) == {(0.01, 1e-4)}
    loss = algorithm.distiller.distill_losses['loss_holistic']
    theirs = {id(p) for p in loss.discriminator.parameters()}
    assert theirs
    trained = {
        id(p) for group in wrapper.optimizer.param_groups for p in group['params']
    }
    assert not theirs & trained


def test_the_runner_builds_the_same_optimizer():
    algorithm = build(ToyModel())
    runner = SimpleNamespace(model=algorithm)
    cfg = wrapper_config(paramwise_cfg=PARAMWISE)
    wrapper = Runner.build_optim_wrapper(runner, ConfigDict(cfg))
    assert rates(wrapper, algorithm.student) == rates(
        build_optim_wrapper(algorithm.student, cfg), algorithm.student
    )


class ConvNeXt(nn.Module):
    """Named as mmpretrain's, which is not installed; the constructors ask no more."""

    def __init__(self, channels):
        super().__init__()
        self.downsample_layers = nn.ModuleList(
            nn.Conv2d(3 if i == 0 else channels, channels, 2, 2) for i in range(4)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 1)) for _ in range(4)
        )

    def forward(self, x):
        maps = []
        for down, stage in zip(self.downsample_layers, self.stages):
            x = stage(down(x))
            maps.append(x)
        return tuple(maps[1:])


def convnext(channels=8):
    model = ToyModel(channels)
    model.backbone = ConvNeXt(channels)
    return model


def vit(backbone):
    pytest.importorskip('mmseg')
    size = (32, 32)
    config = dict(
        type='mmseg.EncoderDecoder',
        backbone=dict(
            type=f'mmseg.{backbone}', img_size=size, patch_size=16, embed_dims=8,
            num_layers=2, num_heads=2, mlp_ratio=1, out_indices=[1], init_values=0.1,
        ),
        decode_head=dict(
            type='mmseg.FCNHead', norm_cfg=dict(type='BN'), in_index=0, in_channels=8,
            channels=8, num_classes=3, num_convs=1,
        ),
        test_cfg=dict(mode='whole'),
    )  # fmt: skip
    return MODELS.build(config)


def decay(**more):
    return dict(num_layers=6, decay_rate=0.5, **more)


@pytest.mark.parametrize(('project', 'make', 'tap', 'constructor', 'paramwise'), [
    ('mmdet', convnext, 'neck', 'LearningRateDecayOptimizerConstructor',
     decay(decay_type='layer_wise')),
    ('mmdet', convnext, 'neck', 'LearningRateDecayOptimizerConstructor',
     decay(decay_type='stage_wise')),
    ('mmseg', convnext, 'neck', 'LearningRateDecayOptimizerConstructor',
     decay(decay_type='stage_wise')),
    ('mmseg', lambda: vit('BEiT'), 'backbone', 'LayerDecayOptimizerConstructor',
     dict(num_layers=2, layer_decay_rate=0.5)),
    ('mmseg', lambda: vit('MAE'), 'backbone', 'LearningRateDecayOptimizerConstructor',
     dict(num_layers=2, decay_rate=0.5, decay_type='layer_wise_vit')),
])  # fmt: skip
def test_layer_wise_decay_gives_the_student_the_rates_of_a_plain_run(
    project, make, tap, constructor, paramwise
):
    pytest.importorskip(f'{project}.engine')
    name = f'{project}.{constructor}'
    adapter = dict(type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=8)
    student = dict(item=0, connector=adapter)
    one = link(tap, 'FitNetsLoss', student=student, teacher=dict(item=0))
    links = dict(loss_head=one)
    algorithm = build(make(), make(), links)
    cfg = wrapper_config(constructor=name, paramwise_cfg=paramwise)
    plain = build_optim_wrapper(algorithm.student, cfg)
    wrapper = build_optim_wrapper(SimpleNamespace(module=algorithm), cfg)
    expected = rates(plain, algorithm.student)
    assert len({lr for lr, _ in expected.values()}) > 2
    assert rates(wrapper, algorithm.student) == expected
    connectors = rates(wrapper, algorithm.distiller)
    assert set(connectors.values()) == {(0.01, 1e-4)}
    assert len(connectors) == len(list(algorithm.distiller.parameters()))
