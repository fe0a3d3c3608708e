"""PKD on four FPN levels: FCOS-X101 -> RetinaNet-R50, COCO 1x.

Paper: General Distillation Framework for Object Detectors via Pearson Correlation
Coefficient, NeurIPS 2022, https://arxiv.org/abs/2207.02039; weight 10 on P3 to
P6 as mmrazor's pkd_fpn_fcos_x101_retina_r50_1x_coco.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.3 AP from 36.5 (mmrazor).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/fcos-x101_retinanet-r50.py',
    '../../../_base_/links/pkd-fpn.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
