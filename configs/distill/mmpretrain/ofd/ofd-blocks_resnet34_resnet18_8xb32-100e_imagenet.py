"""OFD on the stages: ResNet-34 -> ResNet-18, ImageNet.

Paper: A Comprehensive Overhaul of Feature Distillation, ICCV 2019,
https://arxiv.org/abs/1904.01866; weight 1e-4, halved from the last stage down, as the
authors for ImageNet.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 70.81 % top-1 from 69.75 (in the table of Logit Standardization in Knowledge
Distillation, CVPR 2024).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/ofd-blocks.py',
]
model = dict(distiller=_base_.distiller)
