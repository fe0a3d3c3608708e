"""PKD on four FPN levels: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 2x.

Paper: General Distillation Framework for Object Detectors via Pearson Correlation
Coefficient, NeurIPS 2022, https://arxiv.org/abs/2207.02039; weight 6 on P2 to
P5 as mmrazor's pkd_fpn_faster-rcnn_r101_faster-rcnn_r50_2x_coco.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.4 AP from 38.4 (mmrazor).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
    '../../../_base_/links/pkd-fpn.py',
]
_base_.distiller.links.loss_pkd.loss.loss_weight = 6.0
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02))
