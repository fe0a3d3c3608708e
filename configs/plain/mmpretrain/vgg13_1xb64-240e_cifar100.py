"""VGG-13 alone, CIFAR-100.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699, whose authors' RepDistiller has this network and schedule.
Command: python tools/train.py CONFIG
Expected: 74.64 % top-1 (RepDistiller).
Status: unrun
"""

_base_ = '../../_base_/tasks/cifar100_240e.py'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='VGG', depth=13, norm_cfg=dict(type='BN'), with_last_pool=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=512,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
