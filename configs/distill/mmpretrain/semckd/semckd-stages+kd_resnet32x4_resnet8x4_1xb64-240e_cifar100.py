"""SemCKD on the stages, with KD: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Cross-Layer Distillation with Semantic Calibration, AAAI 2021,
https://arxiv.org/abs/2012.03236; weight 400, KD of weight 1 and tau 4, as the authors,
whose first layer is that of the first convolution too.
Command: python tools/train.py CONFIG
Expected: 76.23 % top-1 from 73.09; KD 74.42 (SimKD's authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/semckd-stages+kd.py',
]
model = dict(distiller=_base_.distiller)
