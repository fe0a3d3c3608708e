"""ReviewKD over five FPN levels: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 1x multi-scale.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; 256 channels in the middle and weight 1.0 as the
authors'; as theirs, short sides from 640 to 800 and no warm-up of the loss.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no figure for this setting is known to us: the paper trains by Detectron2,
with its models and 180k iterations of 8 images. The student alone has 37.4 AP with a
short side of 800 (mmdet's zoo).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco-ms_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
    '../../../_base_/links/reviewkd-fpn.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02))
