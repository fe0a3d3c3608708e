"""RKD on the pooled features, with KD: ResNet-56 -> ResNet-20, CIFAR-100.

Paper: Relational Knowledge Distillation, CVPR 2019, https://arxiv.org/abs/1904.05068;
weights 25 and 50 as RepDistiller, whose CRD has KD of weight 1 beside it; so it is
here.
Command: python tools/train.py CONFIG
Expected: no figure with KD is known to us; 69.61 % top-1 without, KD alone 70.66
(RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet56_resnet20.py',
    '../../../_base_/links/rkd-neck.py',
]
_base_.distiller.links.loss_kd = dict(
    loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=1.0),
    preds_S=dict(of='student', at='head'),
    preds_T=dict(of='teacher', at='head'),
)
model = dict(distiller=_base_.distiller)
