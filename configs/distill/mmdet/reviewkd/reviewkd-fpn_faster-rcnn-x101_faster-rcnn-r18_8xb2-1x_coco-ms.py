"""ReviewKD over five FPN levels: Faster R-CNN-X101 -> Faster R-CNN-R18, COCO 1x multi-scale.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; 256 channels in the middle and weight 1.2 as the
authors' R101 -> R18; as theirs, short sides from 640 to 800 and no warm-up of the loss.
Command: bash tools/dist_train.sh CONFIG 8
Expected: unknown; this pair is of our own reproduction plan.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco-ms_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-x101_faster-rcnn-r18.py',
    '../../../_base_/links/reviewkd-fpn.py',
]
_base_.distiller.links.loss_reviewkd.loss.loss_weight = 1.2
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02))
