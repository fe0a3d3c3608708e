"""Inspired by FerKD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: FerKD, ICCV 2023, https://arxiv.org/abs/2312.17473; thresholds and the chance of
mixing are ours.
Command: CIFAR10_ROOT=... python tools/train.py CONFIG
Expected: nothing is published.
Status: smoke
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/ferkd-head.py',
]
model = dict(distiller=_base_.distiller, calculate_student_loss=False)
load, *augment, pack = _base_.train_dataloader.dataset.pipeline
mixed = dict(type='mmkd_ext.SelfMix', transforms=augment)
train_dataloader = dict(dataset=dict(pipeline=[load, mixed, pack]))
del load, augment, pack, mixed
