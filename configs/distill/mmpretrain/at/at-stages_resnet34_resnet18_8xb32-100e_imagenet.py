"""AT on the stages: ResNet-34 -> ResNet-18, ImageNet.

Paper: Paying More Attention to Attention, ICLR 2017,
https://arxiv.org/abs/1612.03928; the weight is RepDistiller's for CIFAR-100; that of
the figure is not known to us.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 70.69 % top-1 from 69.75 (in the table of Logit Standardization in Knowledge
Distillation, CVPR 2024).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/at-stages.py',
]
model = dict(distiller=_base_.distiller)
