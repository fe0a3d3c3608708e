"""DKD with ReviewKD: Faster R-CNN-X101 -> Faster R-CNN-R18, COCO 1x multi-scale.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679,
which adds Knowledge Review, CVPR 2021; each as in its own config.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this teacher is known to us; with an R101 teacher and
Detectron2's training R18 rises from 33.26 to 37.01 AP (the paper's table, quoted from
memory, unverified).
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
