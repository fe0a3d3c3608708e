"""CWD on the class scores of the head: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 5 a level. mmrazor 1.0's config of
this name distils the neck; the figure is of its predecessor, which tapped the head.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.2 -> 41.9 AP, teacher 44.7 (mmrazor's metafile of cwd_cls_head_gfl).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r50.py',
    '../../../_base_/links/cwd-cls.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
