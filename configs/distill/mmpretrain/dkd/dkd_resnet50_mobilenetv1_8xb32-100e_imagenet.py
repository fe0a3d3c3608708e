"""DKD on the logits: ResNet-50 -> MobileNetV1, ImageNet.

Paper: Decoupled Knowledge Distillation, CVPR 2022,
https://arxiv.org/abs/2203.08679; beta 2, tau 1, as the authors, who have twice the
batch and twice the learning rate.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 72.05 % top-1 from 68.87; KD 70.50 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet50_mobilenetv1.py',
    '../../../_base_/links/dkd-head.py',
]
_base_.distiller.links.loss_dkd.loss.update(beta=2.0, tau=1.0)
model = dict(distiller=_base_.distiller)
