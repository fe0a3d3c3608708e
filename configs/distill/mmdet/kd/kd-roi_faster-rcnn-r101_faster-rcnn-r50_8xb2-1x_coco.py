"""KD on the RoI head's class scores: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 1x.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; where and with which weight is ours, as the DKD config
has it: all proposals of the student, background included, tau 1, weight 1.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure is known to us; the student alone has 37.4 AP.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
    '../../../_base_/links/kd-roi.py',
]
model = dict(distiller=_base_.distiller)
