"""MGD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Masked Generative Distillation, ECCV 2022,
https://arxiv.org/abs/2205.01529; weight 7e-5 and ratio 0.15, as the authors for ImageNet.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './mgd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
