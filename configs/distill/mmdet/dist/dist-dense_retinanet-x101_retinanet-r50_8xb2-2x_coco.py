"""DIST on the class scores of a dense head: RetinaNet-X101 -> RetinaNet-R50, COCO 2x.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; sigmoid, weight 1 and tau 1 a level as in hunto/MasKD,
where a row is a position with the 720 scores of its nine priors.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 37.4 -> 39.8 AP (hunto/DIST_KD README).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/retinanet-x101_retinanet-r50.py',
    '../../../_base_/links/dist-dense.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01))
