"""PKD on four FPN levels: Mask R-CNN-Swin-S -> RetinaNet-R50, COCO 2x.

Paper: General Distillation Framework for Object Detectors via Pearson Correlation
Coefficient, NeurIPS 2022, https://arxiv.org/abs/2207.02039; weight 6 as
mmrazor's pkd_fpn_mask-rcnn_swin_retina_r50_2x_coco. The student's P3 to P6 meet the
teacher's P2 to P5, enlarged to their size, as there.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 41.5 AP from 37.4 (mmrazor, whose metafile names another checkpoint of the teacher
than its config).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/mask-rcnn-swin-s_retinanet-r50.py',
    '../../../_base_/links/pkd-fpn.py',
]
_base_.distiller.links.loss_pkd.loss.loss_weight = 6.0
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
