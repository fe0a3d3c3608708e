"""FitNets and KD from a stored teacher: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: A Fast Knowledge Distillation Framework for Visual Recognition, ECCV 2022,
https://arxiv.org/abs/2112.01528, which stores predictions; here features too.
Command: mmkd store benchmarks/configs/cifar10/stored/fitnets+kd_resnet56_resnet8.py
--out work_dirs/stores/cifar10_resnet56_stage --epochs 8; then mmkd train with it
Expected: with 40 epochs stored, what the live teacher gives
Status: smoke
"""

_base_ = '../fitnets+kd_resnet56_resnet8.py'
model = dict(teacher_store='work_dirs/stores/cifar10_resnet56_stage')
