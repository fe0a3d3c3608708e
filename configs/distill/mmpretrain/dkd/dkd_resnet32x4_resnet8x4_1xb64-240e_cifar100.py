"""DKD on the logits: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Decoupled Knowledge Distillation, CVPR 2022,
https://arxiv.org/abs/2203.08679; beta 8, tau 4, warmed up over 20 epochs, as the
authors do.
Command: python tools/train.py CONFIG
Expected: 76.32 % top-1 from 72.50; KD 73.33 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/dkd-head.py',
]
_base_.distiller.links.loss_dkd.loss.beta = 8.0
_base_.distiller.links.loss_dkd.schedule = dict(
    type='linear', start=1 / 20, end=19, by_epoch=True
)
model = dict(distiller=_base_.distiller)
