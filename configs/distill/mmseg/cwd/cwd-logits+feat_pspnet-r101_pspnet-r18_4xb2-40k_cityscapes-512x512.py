"""CWD on logits and features together: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; the feature's tau 4 and weight 50 as in CIRKD's
re-implementation, which has both taps.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for both together is known to us. The authors report 74.87 mIoU (val)
with logits alone and 74.27 with features alone, from 69.10.
Status: unrun
"""

_base_ = './cwd-logits_pspnet-r101_pspnet-r18_4xb2-40k_cityscapes-512x512.py'
feature = 'decode_head.bottleneck'
model = dict(
    distiller=dict(
        links=dict(
            loss_cwd_feat=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=50.0),
                preds_S=dict(of='student', at=feature),
                preds_T=dict(of='teacher', at=feature),
            )
        )
    )
)
