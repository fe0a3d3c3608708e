"""RKD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Relational Knowledge Distillation, CVPR 2019, https://arxiv.org/abs/1904.05068;
weights 25 and 50, as RepDistiller.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/rkd-neck.py',
]
model = dict(distiller=_base_.distiller)
