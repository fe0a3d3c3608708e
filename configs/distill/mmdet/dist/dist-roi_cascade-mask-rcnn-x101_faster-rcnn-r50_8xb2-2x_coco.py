"""DIST on the RoI head's class scores: Cascade Mask R-CNN-X101 -> Faster R-CNN-R50, 2x.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; weight 1, tau 1 as in hunto/MasKD, and as there the
teacher's first stage classifies, which was trained on proposals as an RPN gives them.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 38.4 -> 40.4 AP, teacher 45.6 (hunto/DIST_KD README).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/cascade-mask-rcnn-x101_faster-rcnn-r50.py',
    '../../../_base_/links/dist-roi.py',
]
model = dict(distiller=_base_.distiller)
