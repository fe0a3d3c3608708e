"""Pixel-wise KD from two teachers: PSPNet-R101 and DeepLabV3-R101 -> PSPNet-R18.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and, together, weight 1. That there are two, and
that each weighs one half, is ours. Cityscapes.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure for these teachers is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101+deeplabv3-r101_pspnet-r18.py',
    '../../../_base_/links/kd-logits.py',
]
_base_.distiller.links.loss_kd.preds_T.of = 'pspnet'
_base_.distiller.links.loss_kd_deeplabv3 = dict(
    loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
    preds_S=dict(of='student', at=_base_.logits),
    preds_T=dict(of='deeplabv3', at=_base_.logits),
)
model = dict(distiller=_base_.distiller)
