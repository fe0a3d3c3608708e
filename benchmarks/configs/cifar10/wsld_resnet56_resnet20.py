"""WSLD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Rethinking Soft Labels for Knowledge Distillation, ICLR 2021,
https://arxiv.org/abs/2102.00650; tau 2, weight 2.5, as the authors for ImageNet.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './wsld_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
