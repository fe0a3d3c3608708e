"""RKD on the pooled features: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: Relational Knowledge Distillation, CVPR 2019, https://arxiv.org/abs/1904.05068;
weights 25 and 50, without KD, as RepDistiller.
Command: python tools/train.py CONFIG
Expected: 69.61 % top-1 from 69.06; KD 70.66 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/rkd-neck.py',
]
model = dict(distiller=_base_.distiller)
