"""MGD on the last stage: ResNet-34 -> ResNet-18, ImageNet.

Paper: Masked Generative Distillation, ECCV 2022,
https://arxiv.org/abs/2205.01529; channels masked with ratio 0.15, weight 7e-5, as the
authors.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 71.69 % top-1 from 69.90 (the authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/mgd-last.py',
]
model = dict(distiller=_base_.distiller)
