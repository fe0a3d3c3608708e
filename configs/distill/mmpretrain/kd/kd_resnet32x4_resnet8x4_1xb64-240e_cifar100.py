"""KD on the logits: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 4, 0.9 of it and 0.1 of the cross entropy, as
RepDistiller.
Command: python tools/train.py CONFIG
Expected: 73.33 % top-1 from 72.50 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/kd-head.py',
]
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.1))), distiller=_base_.distiller
)
