"""WSLD of every labelled pixel: FPN on ResNet-18 on CamVid.

Paper: Rethinking Soft Labels for Knowledge Distillation, ICLR 2021,
https://arxiv.org/abs/2102.00650; tau 2 and weight 2.5 of its classifiers; it has no
segmentation.
Command: python tools/train.py
benchmarks/configs/camvid/wsld-logits_fpn-r18-w32_fpn-r18-w8.py
Expected: nothing is published.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py']
logits = 'decode_head.conv_seg'
links = dict(
    loss_wsld=dict(
        loss=dict(type='mmkd_ext.WSLDPixelLoss', tau=2.0, loss_weight=2.5),
        preds_S=dict(of='student', at=logits),
        preds_T=dict(of='teacher', at=logits),
        data_samples=dict(of='batch', at='data_samples'),
    )
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
