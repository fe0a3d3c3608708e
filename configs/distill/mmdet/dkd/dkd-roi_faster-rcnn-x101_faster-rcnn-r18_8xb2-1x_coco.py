"""DKD on the RoI head's class scores: Faster R-CNN-X101 -> Faster R-CNN-R18, COCO 1x.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679;
alpha 1, beta 0.25, tau 1 as in its detection code (megvii-research/mdistiller).
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this teacher is known to us; with an R101 teacher and
Detectron2's training R18 rises from 33.26 to 35.05 AP (the paper's table, quoted from
memory, unverified).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-x101_faster-rcnn-r18.py',
    '../../../_base_/links/dkd-roi.py',
]
model = dict(distiller=_base_.distiller)
