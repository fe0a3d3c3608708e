"""DIST: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 4, weight 2, as the authors for CIFAR-100.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './dist_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
