"""CWD on logits of another output stride: DeepLabV3-R101, 8 -> R18, 16, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4, weight 3, and the KD and adversary of the parent.
Alignment resizes the student's logits
to the teacher's. Strides and dilations as mmseg's DeepLabV3 of stride 16.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure for this student is known to us.
Status: unrun
"""

_base_ = './cwd-logits_deeplabv3-r101_deeplabv3-r18_4xb4-40k_cityscapes-512x1024.py'
model = dict(
    architecture=dict(
        backbone=dict(dilations=(1, 1, 1, 2), strides=(1, 2, 2, 1)),
        decode_head=dict(dilations=(1, 6, 12, 18)),
    )
)
