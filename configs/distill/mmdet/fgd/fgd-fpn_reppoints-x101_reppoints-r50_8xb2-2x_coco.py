"""FGD on P3 to P7: RepPoints-X101-DCN -> RepPoints-R50, COCO 2x.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights of the authors' configs for detectors
without anchors (attention 8e-4, where the paper says 8e-3).
Command: bash tools/dist_train.sh CONFIG 8
Expected: 38.6 -> 42.0 AP (paper and the authors' repository).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/reppoints-x101_reppoints-r50.py',
    '../../../_base_/links/fgd-fpn-convs.py',
]
model = dict(inherit=['neck', 'bbox_head'], distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))
