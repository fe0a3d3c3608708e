"""RKD on the pooled features: VGG-13 -> MobileNetV2, CIFAR-100.

Paper: Relational Knowledge Distillation, CVPR 2019, https://arxiv.org/abs/1904.05068;
weights 25 and 50, without KD, as RepDistiller. Learning rate 0.01.
Command: python tools/train.py CONFIG
Expected: 64.52 % top-1 from 64.60; KD 67.37 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/vgg13_mobilenetv2.py',
    '../../../_base_/links/rkd-neck.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
