"""DKD of every labelled pixel: FPN on ResNet-18 on CamVid.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679;
alpha 1, beta 0.25 and tau 1 of its detection part; it has no segmentation.
Command: python tools/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured yet.
Status: unrun
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
logits = 'decode_head.conv_seg'
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_dkd=dict(
                loss=dict(type='mmkd_ext.DKDPixelLoss', alpha=1.0, beta=0.25, tau=1.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
                data_samples=dict(of='batch', at='data_samples'),
            ),
        ),
    )
)
