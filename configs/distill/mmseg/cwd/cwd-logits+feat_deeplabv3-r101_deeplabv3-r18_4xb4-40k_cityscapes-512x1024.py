"""CWD on logits and features, as CIRKD compares it: DeepLabV3-R101 -> R18, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 on both, weights 3 and 50, KD and adversary beside
them, and the schedule from CIRKD's script.
Command: bash tools/dist_train.sh CONFIG 4
Expected: CIRKD's authors measured 74.21 -> 75.55 mIoU (val) for CWD from a teacher of
78.07. Not measured by us.
Status: unrun
"""

_base_ = './cwd-logits_deeplabv3-r101_deeplabv3-r18_4xb4-40k_cityscapes-512x1024.py'
feature = 'decode_head.bottleneck'
adapter = dict(
    type='mmkd_ext.ConvAdapter', in_channels=128, out_channels=512, bias=False
)
model = dict(
    distiller=dict(
        links=dict(
            loss_cwd_feat=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=50.0),
                preds_S=dict(of='student', at=feature, connector=adapter),
                preds_T=dict(of='teacher', at=feature),
            )
        )
    )
)
