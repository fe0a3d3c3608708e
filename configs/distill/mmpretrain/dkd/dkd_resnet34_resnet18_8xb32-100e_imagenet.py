"""DKD on the logits: ResNet-34 -> ResNet-18, ImageNet.

Paper: Decoupled Knowledge Distillation, CVPR 2022,
https://arxiv.org/abs/2203.08679; beta 0.5, tau 1, without warm-up, as the authors do.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 71.70 % top-1; KD 71.03 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/dkd-head.py',
]
_base_.distiller.links.loss_dkd.loss.update(beta=0.5, tau=1.0)
model = dict(distiller=_base_.distiller)
