"""DIST on the logits: VGG-13 -> MobileNetV2, CIFAR-100.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 4, weight 2, as the authors have it for CIFAR-100.
Learning rate 0.01.
Command: python tools/train.py CONFIG
Expected: 68.66 % top-1 (the authors, for MobileNetV2).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/vgg13_mobilenetv2.py',
    '../../../_base_/links/dist-head.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
