"""Inspired by FerKD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: FerKD, ICCV 2023, https://arxiv.org/abs/2312.17473; thresholds and the chance of
mixing are ours.
Command: CIFAR10_ROOT=... python tools/train.py CONFIG
Expected: nothing is published.
Status: unrun
"""

_base_ = './ferkd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
