"""Tf-KD from a virtual teacher, every labelled pixel: FPN on ResNet-18 on CamVid.

Paper: Revisiting Knowledge Distillation via Label Smoothing Regularization, CVPR 2020,
https://arxiv.org/abs/1909.11723; tau 20, a 0.1 and multiplier 100 of its ResNet-18; it
has no segmentation. No network teaches: the teacher of the pair is left out.
Command: python tools/train.py
benchmarks/configs/camvid/tfkd-virtual_fpn-r18-w32_fpn-r18-w8.py
Expected: nothing is published.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py']
links = dict(
    loss_tfkd=dict(
        loss=dict(type='mmkd_ext.TfKDVirtualPixelLoss', tau=20.0, loss_weight=10.0),
        preds_S=dict(of='student', at='decode_head.conv_seg'),
        data_samples=dict(of='batch', at='data_samples'),
    )
)
model = dict(
    architecture=dict(decode_head=dict(loss_decode=dict(loss_weight=0.9))),
    teacher=None,
    teacher_ckpt=None,
    teachers={},
    distiller=dict(type='mmkd_ext.LinkDistiller', links=links),
)
