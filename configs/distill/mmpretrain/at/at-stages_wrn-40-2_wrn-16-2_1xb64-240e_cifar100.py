"""AT on the stages: WRN-40-2 -> WRN-16-2, CIFAR-100.

Paper: Paying More Attention to Attention, ICLR 2017,
https://arxiv.org/abs/1612.03928; weight 1000 a stage, without KD, as RepDistiller.
Stages are compared before their activation, as there.
Command: python tools/train.py CONFIG
Expected: 74.08 % top-1 from 73.26; KD 74.92 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/wrn-40-2_wrn-16-2.py',
    '../../../_base_/links/at-stages.py',
]
_base_.distiller.links.loss_at.preds_S.at = 'backbone.preact'
_base_.distiller.links.loss_at.preds_T.at = 'backbone.preact'
model = dict(distiller=_base_.distiller)
