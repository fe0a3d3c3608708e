"""DIST: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 4, weight 2, as the authors for CIFAR-100.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/dist-head.py',
]
model = dict(distiller=_base_.distiller)
