"""AT on the stages: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Paying More Attention to Attention, ICLR 2017,
https://arxiv.org/abs/1612.03928; weight 1000 a stage, without KD, as RepDistiller.
Command: python tools/train.py CONFIG
Expected: 73.44 % top-1 from 72.50; KD 73.33 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/at-stages.py',
]
model = dict(distiller=_base_.distiller)
