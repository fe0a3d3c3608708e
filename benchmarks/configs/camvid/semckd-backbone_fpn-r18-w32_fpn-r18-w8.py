"""SemCKD of the four stages: FPN on ResNet-18 on CamVid.

Paper: Cross-Layer Distillation with Semantic Calibration, AAAI 2021,
https://arxiv.org/abs/2012.03236; weight 50 as for ImageNet.
Command: python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
semckd = dict(
    loss=dict(
        type='mmkd_ext.SemCKDLoss',
        student_channels=(8, 16, 32, 64),
        teacher_channels=(32, 64, 128, 256),
        batch_size=4,
        loss_weight=50.0,
    ),
    preds_S=dict(of='student', at='backbone'),
    preds_T=dict(of='teacher', at='backbone'),
)
links = dict(loss_semckd=semckd)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
