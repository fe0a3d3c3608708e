"""AFD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Show, Attend and Distill, AAAI 2021, https://arxiv.org/abs/2102.02973; weight
200, as the authors.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './afd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
