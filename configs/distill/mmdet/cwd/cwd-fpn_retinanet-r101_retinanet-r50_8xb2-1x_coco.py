"""CWD on the five FPN levels: RetinaNet-R101 -> RetinaNet-R50, COCO 1x.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 10 a level as mmrazor's
cwd_fpn_retina_r101_retina_r50_1x_coco.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this pair is known to us; with an X101 teacher and 2x
the student rises from 37.4 to 40.5 AP (pppppM/mmdetection-distiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/retinanet-r101_retinanet-r50.py',
    '../../../_base_/links/cwd-fpn.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
