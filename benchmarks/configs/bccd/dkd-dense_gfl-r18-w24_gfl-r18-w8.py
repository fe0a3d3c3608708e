"""DKD on the positive priors of the head: GFL on BCCD.

Paper: Decoupled Knowledge Distillation, CVPR 2022, https://arxiv.org/abs/2203.08679;
alpha 1, beta 0.25, tau 1 as published for RoI heads.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 37.0 +- 1.4 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/dkd-dense.py',
]
_base_.distiller.links.loss_dkd.preds_T.connector[0].classes = 3
model = dict(distiller=_base_.distiller)
