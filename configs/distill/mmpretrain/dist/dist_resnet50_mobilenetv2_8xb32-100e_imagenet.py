"""DIST on the logits: ResNet-50 -> MobileNetV2, ImageNet.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; tau 1, weight 2, 100 epochs, as the authors' strategy
B1 for MobileNetV1.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no figure of MobileNetV2 is known to us; MobileNetV1 73.24 % top-1 from 70.13
(the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet50_mobilenetv2.py',
    '../../../_base_/links/dist-head.py',
]
_base_.distiller.links.loss_dist.loss.tau = 1.0
model = dict(distiller=_base_.distiller)
