"""DKD with ReviewKD: Faster R-CNN-X101 -> Faster R-CNN-R18, COCO 1x multi-scale.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679,
which adds Knowledge Review, CVPR 2021; each as in its own config.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this teacher is known to us; the paper has R101 for
it, and trains by Detectron2.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco-ms_1x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-x101_faster-rcnn-r18.py',
    '../../../_base_/links/dkd-roi+reviewkd-fpn.py',
]
_base_.distiller.links.loss_reviewkd.loss.loss_weight = 1.2
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02))
