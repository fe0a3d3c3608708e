"""DKD on the logits: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: Decoupled Knowledge Distillation, CVPR 2022,
https://arxiv.org/abs/2203.08679; beta 2, tau 4, warmed up over 20 epochs, as the
authors do.
Command: python tools/train.py CONFIG
Expected: 71.97 % top-1 from 69.06; KD 70.66 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/dkd-head.py',
]
_base_.distiller.links.loss_dkd.schedule = dict(
    type='linear', start=1 / 20, end=19, by_epoch=True
)
model = dict(distiller=_base_.distiller)
