"""Tf-KD from a virtual teacher: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Revisiting Knowledge Distillation via Label Smoothing Regularization, CVPR 2020,
https://arxiv.org/abs/1909.11723; tau 20 and a 0.1 of the authors' ResNet-18; their
multiplier 100 is of 100 classes, here it is 10. The ResNet-56 takes no part.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './tfkd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
