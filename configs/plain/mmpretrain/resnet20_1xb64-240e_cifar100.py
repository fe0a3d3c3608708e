"""ResNet-20 alone, CIFAR-100.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699, whose authors' RepDistiller has this network and schedule.
Command: python tools/train.py CONFIG
Expected: 69.06 % top-1 (RepDistiller).
Status: unrun
"""

_base_ = '../../_base_/tasks/cifar100_240e.py'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmkd_ext.SmallResNet', depth=20),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=64,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
