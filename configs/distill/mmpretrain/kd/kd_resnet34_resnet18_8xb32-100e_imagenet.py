"""KD on the logits: ResNet-34 -> ResNet-18, ImageNet.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1, weight 3, as in mmrazor.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 71.81 % top-1 from 69.90 (mmrazor).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/kd-head.py',
]
_base_.distiller.links.loss_kd.loss.update(tau=1.0, loss_weight=3.0)
model = dict(distiller=_base_.distiller)
