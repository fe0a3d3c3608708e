"""LD on positives and VLR, and KD of the classes: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; LD weight 0.25, tau 10, KD weight 10, tau 2 as in the
authors' code, and so is what it calls DIoU in the VLR.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.1 -> 42.1 AP (authors' README).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r50.py',
    '../../../_base_/links/ld-full.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
