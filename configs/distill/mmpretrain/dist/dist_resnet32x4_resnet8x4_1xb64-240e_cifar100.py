"""DIST on the logits: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 4, weight 2, as the authors have it for CIFAR-100.
Command: python tools/train.py CONFIG
Expected: 76.31 % top-1 from 72.50 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/dist-head.py',
]
model = dict(distiller=_base_.distiller)
