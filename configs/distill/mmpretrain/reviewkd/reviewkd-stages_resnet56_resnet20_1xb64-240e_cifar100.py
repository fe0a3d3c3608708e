"""ReviewKD on the stages: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 0.6, warmed up over 20 epochs, as the authors
do.
Command: python tools/train.py CONFIG
Expected: no figure of this pair is known to us; KD 70.66 % top-1 from 69.06
(RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/reviewkd-stages.py',
]
_base_.distiller.links.loss_reviewkd.loss.loss_weight = 0.6
model = dict(distiller=_base_.distiller)
