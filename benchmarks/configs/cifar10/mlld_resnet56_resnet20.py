"""MLLD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Multi-Level Logit Distillation, CVPR 2023,
https://github.com/Jin-Ying/Multi-Level-Logit-Distillation; temperatures and weights 0.9
and 0.1, as the authors for CIFAR-100; the learning rate is that of all here. Each
picture in two views.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './mlld_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
