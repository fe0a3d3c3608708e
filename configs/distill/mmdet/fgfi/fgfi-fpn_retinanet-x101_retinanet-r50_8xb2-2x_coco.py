"""FGFI around the anchors of the head: RetinaNet-X101 -> RetinaNet-R50, COCO 2x.

Paper: Distilling Object Detectors with Fine-grained Feature Imitation, CVPR 2019,
https://arxiv.org/abs/1906.03609; weight 0.01, an adapter that starts near zero, 400
iterations without imitation and clipping at 10 as in the authors' code, which trains
with one image a batch.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this pair is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/retinanet-x101_retinanet-r50.py',
    '../../../_base_/links/fgfi-fpn.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=10, norm_type=2))
