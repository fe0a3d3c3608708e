"""WRN-40-2 alone, CIFAR-100.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699, whose authors' RepDistiller has this network and schedule.
Command: python tools/train.py CONFIG
Expected: 75.61 % top-1 (RepDistiller).
Status: unrun
"""

_base_ = '../../_base_/tasks/cifar100_240e.py'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmkd_ext.SmallWideResNet', depth=40, widen=2),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=128,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
