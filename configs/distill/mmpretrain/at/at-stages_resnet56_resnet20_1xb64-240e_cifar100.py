"""AT on the stages: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: Paying More Attention to Attention, ICLR 2017,
https://arxiv.org/abs/1612.03928; weight 1000 a stage, without KD, as RepDistiller.
Command: python tools/train.py CONFIG
Expected: 70.55 % top-1 from 69.06; KD 70.66 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/at-stages.py',
]
model = dict(distiller=_base_.distiller)
