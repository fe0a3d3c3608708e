"""CWD on the logits: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4, weight 3, schedule, KD and adversary beside it as
CIRKD compares it, which has features too.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for logits alone is known to us. CIRKD's authors measured 73.12 ->
74.66 mIoU (val) with features too.
Status: unrun
"""

_base_ = './cwd-logits_deeplabv3-r101_deeplabv3-r18_4xb4-40k_cityscapes-512x1024.py'
model = dict(
    architecture=dict(
        cfg_path='mmseg::mobilenet_v2/'
        'mobilenet-v2-d8_deeplabv3_4xb2-80k_cityscapes-512x1024.py'
    )
)
