"""CRD on the pooled features, with KD: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Contrastive Representation Distillation, ICLR 2020,
https://arxiv.org/abs/1910.10699; 16384 negatives, weight 0.8, KD of weight 1 and tau 4,
as RepDistiller.
Command: python tools/train.py CONFIG
Expected: no figure with KD is known to us; 75.51 % top-1 without, KD alone 73.33
(RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/crd-neck.py',
]
_base_.distiller.links.loss_kd = dict(
    loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=1.0),
    preds_S=dict(of='student', at='head'),
    preds_T=dict(of='teacher', at='head'),
)
model = dict(distiller=_base_.distiller)
custom_hooks = [*_base_.custom_hooks, dict(type='mmkd_ext.CRDClassesHook')]
