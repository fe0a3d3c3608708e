"""DKD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Decoupled Knowledge Distillation, CVPR 2022,
https://arxiv.org/abs/2203.08679; beta 2, tau 4, as the authors for ResNet-56 on CIFAR-100; no warm-up.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './dkd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
