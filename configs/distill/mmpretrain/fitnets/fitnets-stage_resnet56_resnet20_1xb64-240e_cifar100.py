"""FitNets on the second stage: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015,
https://arxiv.org/abs/1412.6550; weight 100 on the second stage, regressor with batch
normalisation and ReLU, without KD, as RepDistiller.
Command: python tools/train.py CONFIG
Expected: 69.21 % top-1 from 69.06; KD 70.66 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/fitnets-stage.py',
]
model = dict(distiller=_base_.distiller)
