"""CWD on the five FPN levels: GFL-R101 -> GFL-R18, COCO 1x.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 10 a level as mmrazor's
cwd_fpn configs.
Command: bash tools/dist_train.sh CONFIG 8
Expected: unknown; the student alone has 35.8 AP (HikariTJU/LD).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r18.py',
    '../../../_base_/links/cwd-fpn.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
