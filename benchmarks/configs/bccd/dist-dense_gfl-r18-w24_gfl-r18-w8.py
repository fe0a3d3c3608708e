"""DIST on the class scores of the head: GFL on BCCD.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; sigmoid, weight 1 and tau 1 a level as hunto/MasKD.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 39.6 +- 0.8 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = [
    '../../../configs/_base_/tasks/bccd-240x320.py',
    '../../../configs/_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
    '../../../configs/_base_/links/dist-dense.py',
]
for side in ('preds_S', 'preds_T'):
    _base_.distiller.links.loss_dist[side].update(
        at='bbox_head.gfl_cls', connector=dict(type='mmkd_ext.FlattenPredictions', classes=3)
    )
del side
model = dict(distiller=_base_.distiller)
