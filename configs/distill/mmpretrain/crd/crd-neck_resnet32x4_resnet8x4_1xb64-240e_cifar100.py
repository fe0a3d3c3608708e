"""CRD on the pooled features: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699; 16384 negatives, weight 0.8, without KD, as
RepDistiller.
Command: python tools/train.py CONFIG
Expected: 75.51 % top-1 from 72.50; KD 73.33 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/crd-neck.py',
]
model = dict(distiller=_base_.distiller)
custom_hooks = [*_base_.custom_hooks, dict(type='mmkd_ext.CRDClassesHook')]
