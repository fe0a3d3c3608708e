"""CWD on the five FPN levels: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 1x.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 10 a level as mmrazor's
cwd_fpn configs.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this pair is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
    '../../../_base_/links/cwd-fpn.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02))
