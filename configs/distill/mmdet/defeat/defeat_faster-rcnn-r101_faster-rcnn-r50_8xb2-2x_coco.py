"""DeFeat on neck and RoI head: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 2x.

Paper: Distilling Object Detectors via Decoupled Features, CVPR 2021,
https://arxiv.org/abs/2103.14475; neck weights and clipping at 35 of the authors'
Pascal VOC config, head weights of their code; those of COCO are not published.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 38.4 -> 40.3 AP for this pair, reported by later papers; the weights
behind it are not known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
    '../../../_base_/links/defeat-fpn+roi.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=35, norm_type=2))
