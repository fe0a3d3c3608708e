"""OFD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: A Comprehensive Overhaul of Feature Distillation, ICCV 2019,
https://arxiv.org/abs/1904.01866; weight 1e-3, halved from the last stage down, as the
authors for CIFAR.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './ofd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
