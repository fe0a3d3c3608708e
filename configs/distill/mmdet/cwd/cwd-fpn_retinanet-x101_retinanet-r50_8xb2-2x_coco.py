"""CWD on four FPN levels: RetinaNet-X101 -> RetinaNet-R50, COCO 2x.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 1 and weight 5 on each of four levels as
pppppM/mmdetection-distiller.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.5 AP from 37.4 with a teacher of 40.8 (pppppM/mmdetection-distiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/retinanet-x101_retinanet-r50.py',
    '../../../_base_/links/cwd-fpn.py',
]
_base_.distiller.links.loss_cwd.loss.loss_weight = 5.0
_base_.distiller.links.loss_cwd.preds_S.item = [0, 1, 2, 3]
_base_.distiller.links.loss_cwd.preds_T.item = [0, 1, 2, 3]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
