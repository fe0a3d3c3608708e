"""Inspired by FerKD, of every labelled pixel: FPN on ResNet-18 on CamVid.

Paper: FerKD, ICCV 2023, https://arxiv.org/abs/2312.17473; it has no segmentation, and
thresholds and the chance of mixing are ours.
Command: CAMVID_ROOT=... python tools/train.py CONFIG
Expected: nothing is published.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py']
ferkd = dict(
    loss=dict(type='mmkd_ext.FerKDPixelLoss', low=0.05, middle=0.3, top=0.999),
    preds_S=dict(of='student', at='decode_head.conv_seg'),
    preds_T=dict(of='teacher', at='decode_head.conv_seg'),
    data_samples=dict(of='batch', at='data_samples'),
)
links = dict(type='mmkd_ext.LinkDistiller', links=dict(loss_ferkd=ferkd))
model = dict(distiller=links, calculate_student_loss=False)
load, labels, scale, crop, flip, *rest = _base_.train_pipeline
mixed = dict(type='mmkd_ext.SelfMix', transforms=[crop, flip])
pipeline = [load, labels, scale, mixed, *rest]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
