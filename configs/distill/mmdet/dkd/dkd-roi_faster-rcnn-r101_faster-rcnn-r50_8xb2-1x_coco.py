"""DKD on the RoI head's class scores: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 1x.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679;
alpha 1, beta 0.25, tau 1 as in its detection code (megvii-research/mdistiller).
Command: bash tools/dist_train.sh CONFIG 8
Expected: no figure for this setting is known to us: the paper trains by Detectron2,
with its models and 180k iterations of 8 images. The student alone has 37.4 AP (mmdet's
zoo).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
    '../../../_base_/links/dkd-roi.py',
]
model = dict(distiller=_base_.distiller)
