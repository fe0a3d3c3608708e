"""SRRL on the last map, with KD: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: Knowledge Distillation via Softmax Regression Representation Learning, ICLR 2021,
https://github.com/jingyang2017/KD_SRRL; weights 1, of KD too, as in SimKD's comparison.
Command: python tools/train.py CONFIG
Expected: 75.39 % top-1 from 73.09; KD 74.42 (SimKD's authors).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/srrl-last.py',
]
_base_.distiller.links.loss_srrl.preds_S.connector.update(
    in_channels=256, out_channels=256
)
_base_.distiller.links.loss_kd = dict(
    loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=1.0),
    preds_S=dict(of='student', at='head'),
    preds_T=dict(of='teacher', at='head'),
)
model = dict(distiller=_base_.distiller)
