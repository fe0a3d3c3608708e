"""RKD of 16 regions a picture: FPN on ResNet-18 on CamVid.

Paper: Relational Knowledge Distillation, CVPR 2019, https://arxiv.org/abs/1904.05068;
weights 25 and 50 as RepDistiller's for classifiers.
Command: python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
sides = dict(
    preds_S=dict(of='student', **feature), preds_T=dict(of='teacher', **feature)
)
distance = dict(type='mmkd_ext.RKDDistanceLoss', regions=4, loss_weight=25.0)
angle = dict(type='mmkd_ext.RKDAngleLoss', regions=4, loss_weight=50.0)
links = dict(
    loss_distance=dict(loss=distance, **sides), loss_angle=dict(loss=angle, **sides)
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
