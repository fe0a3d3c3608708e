"""DeFeat on the neck: RetinaNet-X101 -> RetinaNet-R50, COCO 2x.

Paper: Distilling Object Detectors via Decoupled Features, CVPR 2021,
https://arxiv.org/abs/2103.14475; weights and clipping at 35 of the authors' Pascal
VOC config; those of COCO are not published.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this pair is known to us; the abstract has
36.5 -> 39.7 AP for RetinaNet-R50 with another teacher.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/retinanet-x101_retinanet-r50.py',
    '../../../_base_/links/defeat-fpn.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))
