"""LD on the positives: GFL-R101 -> GFL-R34, COCO 1x.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; weight 0.25 and tau 10 as in the authors' code.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 38.9 -> 39.8 AP, the main term alone (authors' README).
Status: unrun
"""

_base_ = './ld-main_gfl-r101_gfl-r50_8xb2-1x_coco.py'
model = dict(
    architecture=dict(
        backbone=dict(
            depth=34,
            init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet34'),
        ),
        neck=dict(in_channels=[64, 128, 256, 512]),
    )
)
