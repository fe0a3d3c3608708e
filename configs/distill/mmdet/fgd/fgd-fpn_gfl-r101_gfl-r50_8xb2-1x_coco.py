"""FGD on P3 to P7: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights of the authors' configs for one-stage
detectors with anchors (attention 5e-4, where the paper says 1e-3).
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.2 -> 43.5 AP (the authors' repository).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r50.py',
    '../../../_base_/links/fgd-fpn.py',
]
model = dict(inherit=['neck', 'bbox_head'], distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))
