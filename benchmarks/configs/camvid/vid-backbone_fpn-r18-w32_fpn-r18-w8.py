"""VID of the last stage: FPN on ResNet-18 on CamVid.

Paper: Variational Information Distillation for Knowledge Transfer, CVPR 2019,
https://arxiv.org/abs/1904.05835; weight 1, variance and regressor as in RepDistiller.
Command: python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
regressor = dict(type='mmkd_ext.VIDRegressor', in_channels=64, channels=256)
vid = dict(
    loss=dict(type='mmkd_ext.VIDLoss', channels=256, loss_weight=1.0),
    preds_S=dict(of='student', at='backbone', item=3, connector=regressor),
    preds_T=dict(of='teacher', at='backbone', item=3),
)
model = dict(
    distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_vid=vid)),
)
