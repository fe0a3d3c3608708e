"""FGD on P2 to P5: Faster R-CNN-X101 -> Faster R-CNN-R18, COCO 1x.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights of the authors' configs for two-stage
detectors.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this pair is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-x101_faster-rcnn-r18.py',
    '../../../_base_/links/fgd-fpn-two-stage.py',
]
model = dict(inherit=['neck', 'rpn_head', 'roi_head'], distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=35, norm_type=2))
