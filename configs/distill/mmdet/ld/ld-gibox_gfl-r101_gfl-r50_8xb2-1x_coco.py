"""LD's feature imitation at general instances: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; weight 2 as in the authors' code (`gibox`), and so is
that a level without a positive anchor counts 0.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.1 -> 41.5 AP, imitation alone (authors' README).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r50.py',
    '../../../_base_/links/ld-gibox.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
