"""SemCKD of the four stages, with KD of pixels: FPN on ResNet-18 on CamVid.

Paper: Cross-Layer Distillation with Semantic Calibration, AAAI 2021,
https://arxiv.org/abs/2012.03236; with KD of weight 1 beside it as published, tau 1 as
CIRKD's pixel term.
Command: python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = './semckd-backbone_fpn-r18-w32_fpn-r18-w8.py'
logits = 'decode_head.conv_seg'
kd = dict(
    loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
    preds_S=dict(of='student', at=logits),
    preds_T=dict(of='teacher', at=logits),
)
model = dict(distiller=dict(links=dict(loss_kd=kd)))
