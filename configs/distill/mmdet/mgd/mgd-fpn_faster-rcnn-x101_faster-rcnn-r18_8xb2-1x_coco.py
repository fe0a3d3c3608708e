"""MGD on four FPN levels: Faster R-CNN-X101 -> Faster R-CNN-R18, COCO 1x.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529;
ratio 0.45, weight 5e-7 and clipping at 35 as in yzd-v/MGD for two-stage detectors.
Command: bash tools/dist_train.sh CONFIG 8
Expected: unknown; this pair is of our own reproduction plan.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-x101_faster-rcnn-r18.py',
    '../../../_base_/links/mgd-fpn-two-stage.py',
]
model = dict(inherit=['neck', 'rpn_head', 'roi_head'], distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=35, norm_type=2))
