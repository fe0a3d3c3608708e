"""Pixel-wise KD: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and weight 1 as CIRKD's pixel term.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure for this pair and schedule is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101_pspnet-r18.py',
    '../../../_base_/links/kd-logits.py',
]
model = dict(distiller=_base_.distiller)
