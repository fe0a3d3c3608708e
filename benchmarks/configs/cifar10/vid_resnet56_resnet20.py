"""VID: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Variational Information Distillation for Knowledge Transfer, CVPR 2019,
https://arxiv.org/abs/1904.05835; weight 1, as RepDistiller.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './vid_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
