"""FGD on P2 to P5: Cascade Mask R-CNN-X101-DCN -> Mask R-CNN-R50, COCO 2x.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights of the authors' configs for two-stage
detectors; as there this teacher, and nothing of it is inherited.
Command: bash tools/dist_train.sh CONFIG 8
Expected: boxes 39.2 -> 42.1 AP, masks 35.4 -> 37.8 AP (paper and the authors'
repository).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco-instance_2x.py',
    '../../../_base_/pairs/mmdet/cascade-mask-rcnn-x101-dcn_mask-rcnn-r50.py',
    '../../../_base_/links/fgd-fpn-two-stage.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=35, norm_type=2))
