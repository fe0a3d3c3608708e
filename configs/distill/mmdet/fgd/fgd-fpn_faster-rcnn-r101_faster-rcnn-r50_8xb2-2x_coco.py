"""FGD on P2 to P5: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 2x.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights of the authors' configs for two-stage
detectors.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 38.4 -> 40.5 AP (paper and the authors' repository).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
    '../../../_base_/links/fgd-fpn-two-stage.py',
]
model = dict(inherit=['neck', 'rpn_head', 'roi_head'], distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=35, norm_type=2))
