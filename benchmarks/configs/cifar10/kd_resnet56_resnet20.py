"""KD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 4, weight 0.9, and 0.1 of the cross entropy, as RepDistiller.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './kd_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
