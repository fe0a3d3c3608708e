"""DKD on the logits: WRN-40-2 -> WRN-16-2, CIFAR-100.

Paper: Decoupled Knowledge Distillation, CVPR 2022,
https://arxiv.org/abs/2203.08679; beta 6, tau 4, warmed up over 20 epochs, as the
authors do.
Command: python tools/train.py CONFIG
Expected: 76.23 % top-1 from 73.26; KD 74.92 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/wrn-40-2_wrn-16-2.py',
    '../../../_base_/links/dkd-head.py',
]
_base_.distiller.links.loss_dkd.loss.beta = 6.0
_base_.distiller.links.loss_dkd.schedule = dict(
    type='linear', start=1 / 20, end=19, by_epoch=True
)
model = dict(distiller=_base_.distiller)
