"""KD on the logits: ResNet-50 -> MobileNetV1, ImageNet.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1, half of it and half of the cross entropy, as
mdistiller, which has twice the batch and twice the learning rate.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 70.50 % top-1 from 68.87 (mdistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet50_mobilenetv1.py',
    '../../../_base_/links/kd-head.py',
]
_base_.distiller.links.loss_kd.loss.update(tau=1.0, loss_weight=0.5)
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.5))), distiller=_base_.distiller
)
