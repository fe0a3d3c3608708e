"""MobileNetV2 of half width alone, CIFAR-100.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699, whose authors' RepDistiller has this network and schedule.
Command: python tools/train.py CONFIG
Expected: no figure of it alone is known to us.
Status: unrun
"""

_base_ = '../../_base_/tasks/cifar100_240e.py'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmkd_ext.SmallMobileNetV2'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=1280,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
