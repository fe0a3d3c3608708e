"""RKD of 16 regions a picture, with KD of pixels: FPN on ResNet-18 on CamVid.

Paper: Relational Knowledge Distillation, CVPR 2019, https://arxiv.org/abs/1904.05068;
KD beside it as for classifiers, tau 1 and weight 1 as CIRKD's pixel term.
Command: python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = './rkd-feat_fpn-r18-w32_fpn-r18-w8.py'
logits = 'decode_head.conv_seg'
kd = dict(
    loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
    preds_S=dict(of='student', at=logits),
    preds_T=dict(of='teacher', at=logits),
)
model = dict(distiller=dict(links=dict(loss_kd=kd)))
