"""WSLD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Rethinking Soft Labels for Knowledge Distillation, ICLR 2021,
https://arxiv.org/abs/2102.00650; tau 2, weight 2.5, as the authors for ImageNet.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/wsld-head.py',
]
model = dict(distiller=_base_.distiller)
