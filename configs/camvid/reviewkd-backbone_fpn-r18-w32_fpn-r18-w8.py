"""ReviewKD on the four stages: FPN on ResNet-18 on CamVid.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 1. It has no segmentation: the 64 channels in
the middle and the warm-up of 50 iterations are ours.
Command: python tools/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured yet.
Status: unrun
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
fusion = dict(
    type='mmkd_ext.ReviewKDFusion',
    levels=4,
    in_channels=(8, 16, 32, 64),
    mid_channels=64,
    channels=(32, 64, 128, 256),
)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_reviewkd=dict(
                loss=dict(type='mmkd_ext.ReviewKDLoss', loss_weight=1.0),
                preds_S=dict(of='student', at='backbone', connector=fusion),
                preds_T=dict(of='teacher', at='backbone'),
                schedule=dict(type='linear', start=0.001, end=50),
            ),
        ),
    )
)
