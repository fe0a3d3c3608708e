"""SemCKD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Cross-Layer Distillation with Semantic Calibration, AAAI 2021,
https://arxiv.org/abs/2012.03236; weight 400, as the authors.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './semckd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
