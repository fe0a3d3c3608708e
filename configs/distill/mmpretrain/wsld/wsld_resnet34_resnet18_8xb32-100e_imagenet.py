"""WSLD on the logits: ResNet-34 -> ResNet-18, ImageNet.

Paper: Rethinking Soft Labels for Knowledge Distillation, ICLR 2021,
https://arxiv.org/abs/2102.00650; tau 2, weight 2.5 beside the cross entropy, as the
authors.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 72.04 % top-1 from 69.75 (the authors), 71.54 (mmrazor).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/wsld-head.py',
]
model = dict(distiller=_base_.distiller)
