"""CWD on the features before the classifier: DeepLabV3-R101 -> R18, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4, weight 50, schedule, KD and adversary beside it
as CIRKD compares it, which has logits too: `cwd-logits+feat`. The 1x1 convolution from
128 to 512 channels is without bias as there.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for features alone is known to us. CIRKD's authors measured 74.21 ->
75.55 mIoU (val) with logits too.
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
            loss_cwd=dict(
                loss=dict(tau=4.0, loss_weight=50.0),
                preds_S=dict(at=feature, connector=adapter),
                preds_T=dict(at=feature),
            )
        )
    )
)
