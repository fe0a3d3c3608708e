"""DKD on the RoI head's class scores: Faster R-CNN-X101 -> Faster R-CNN-R18, COCO 1x.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679;
alpha 1, beta 0.25, tau 1 as in its detection code (megvii-research/mdistiller).
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this teacher is known to us; the paper has R101 for
it, and trains by Detectron2.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-x101_faster-rcnn-r18.py',
    '../../../_base_/links/dkd-roi.py',
]
model = dict(distiller=_base_.distiller)
