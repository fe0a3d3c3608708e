"""Inspired by FerKD, from a stored teacher: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: FerKD, ICCV 2023, https://arxiv.org/abs/2312.17473; as the config beside this folder.
Command: mmkd store benchmarks/configs/cifar10/stored/ferkd_resnet56_resnet8.py
--out work_dirs/stores/cifar10_resnet56_selfmix --epochs 8; then mmkd train with it
Expected: with 40 epochs stored, what the live teacher gives
Status: smoke
"""

_base_ = '../ferkd_resnet56_resnet8.py'
model = dict(teacher_store='work_dirs/stores/cifar10_resnet56_selfmix')
