"""Small classifiers of mmpretrain on digits, and the config of a distillation."""

from __future__ import annotations

import copy

import torch
from mmengine.config import Config
from mmengine.runner import Runner

PREPROCESSOR = dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
HEAD = dict(type='LinearClsHead', num_classes=10, loss=dict(type='CrossEntropyLoss'))


def resnet(depth=8, **more):
    return dict(
        type='ImageClassifier',
        backbone=dict(type='mmkd_ext.SmallResNet', depth=depth),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(HEAD, in_channels=64),
        **more,
    )


def vit(width, **more):
    return dict(
        type='ImageClassifier',
        backbone=dict(
            type='VisionTransformer',
            arch=dict(
                embed_dims=width,
                num_layers=2,
                num_heads=2,
                feedforward_channels=width,
            ),
            img_size=8,
            patch_size=2,
        ),
        head=dict(
            type='VisionTransformerClsHead',
            num_classes=10,
            in_channels=width,
            loss=dict(type='CrossEntropyLoss'),
        ),
        **more,
    )


def sides(at, **more):
    return dict(
        preds_S=dict(of='student', at=at, **more),
        preds_T=dict(of='teacher', at=at, **more),
    )


KD = dict(loss=dict(type='mmkd_ext.KDLoss', tau=4.0), **sides('head'))
FITNETS = dict(type='mmkd_ext.FitNetsLoss')
LABELS = dict(type='ModuleInputs', source='head.loss_module')
DKD = dict(
    loss=dict(type='mmkd_ext.DKDLoss', tau=4.0),
    labels=dict(of='student', at=LABELS, item=1),
    **sides('head'),
)


def config(folder, *, student=None, teacher=None, links=None, iterations=4, **changes):
    """A distillation on digits."""
    loader = dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(
            type='mmkd_ext.DigitsDataset',
            indices=32,
            pipeline=[
                dict(type='RandomCrop', crop_size=8, padding=1),
                dict(type='PackInputs'),
            ],
        ),
    )
    test = copy.deepcopy(loader)
    test['dataset'].update(split='test', pipeline=[dict(type='PackInputs')])
    test['sampler']['shuffle'] = False
    values = dict(
        default_scope='mmpretrain',
        data_preprocessor=dict(PREPROCESSOR),
        model=dict(
            type='mmkd_ext.TeacherDistill',
            architecture=student or resnet(),
            teacher=teacher or resnet(14, data_preprocessor=dict(PREPROCESSOR)),
            distiller=dict(
                type='mmkd_ext.LinkDistiller', links=links or dict(loss_kd=KD)
            ),
        ),
        train_dataloader=loader,
        val_dataloader=test,
        val_evaluator=dict(type='Accuracy', topk=(1, 5)),
        train_cfg=dict(by_epoch=False, max_iters=iterations, val_interval=iterations),
        val_cfg={},
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9)),
        default_hooks=dict(
            checkpoint=dict(
                type='mmkd_ext.DistillCheckpointHook', by_epoch=False, interval=2
            )
        ),
        custom_hooks=[dict(type='mmkd_ext.ReproducibleStepHook')],
        randomness=dict(seed=0),
        visualizer=None,
        log_level='WARNING',
        work_dir=str(folder),
    )
    return Config({**values, **changes})


def train(cfg):
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def weights(path):
    return torch.load(path, weights_only=True)['state_dict']
