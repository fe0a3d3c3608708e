"""KD on the positive priors of the head: GFL on BCCD.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 2 and weight 10 / 3, LD's classification term,
which divides by the classes.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 33.0 +- 1.1 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/dkd-dense.py',
]
link = _base_.distiller.links.loss_dkd
link.loss = dict(type='mmkd_ext.KDLoss', tau=2.0, loss_weight=10 / 3)
link.preds_T.connector[0].classes = 3
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_kd=link)))
del link
