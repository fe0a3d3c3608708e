"""AFD of the four stages: FPN on ResNet-18 on CamVid.

Paper: Show, Attend and Distill, AAAI 2021, https://arxiv.org/abs/2102.02973; width 128
and weight 200 as for CIFAR.
Command: python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
student, teacher = (8, 16, 32, 64), (32, 64, 128, 256)
channels = dict(student_channels=student, teacher_channels=teacher)
afd = dict(
    loss=dict(type='mmkd_ext.AFDLoss', width=128, loss_weight=200.0, **channels),
    preds_S=dict(of='student', at='backbone'),
    preds_T=dict(of='teacher', at='backbone'),
)
links = dict(loss_afd=afd)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
