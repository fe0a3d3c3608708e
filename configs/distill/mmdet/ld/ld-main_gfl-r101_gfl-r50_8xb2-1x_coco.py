"""LD on the positives: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; weight 0.25 and tau 10 as in the authors' code.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.1 -> 41.1 AP, the main term alone (authors' README).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r50.py',
    '../../../_base_/links/ld-main.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
