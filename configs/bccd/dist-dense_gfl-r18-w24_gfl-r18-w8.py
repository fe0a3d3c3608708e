"""DIST on the class scores of the head: GFL on BCCD.

Paper: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
https://arxiv.org/abs/2205.10536; sigmoid, weight 1 and tau 1 a level as hunto/MasKD.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 39.6 +- 0.8 on val (seeds 0 to 2, 2 CPU cores); the student alone 38.0 +-
2.9; benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../_base_/tasks/bccd-240x320.py',
    '../_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
]
# the layer is shared by the levels: five calls
scores = dict(
    at='bbox_head.gfl_cls',
    call=[0, 1, 2, 3, 4],
    connector=dict(type='mmkd_ext.FlattenPredictions', classes=3),
)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_dist=dict(
                loss=dict(type='mmkd_ext.DISTLoss', activation='sigmoid'),
                preds_S=dict(of='student', **scores),
                preds_T=dict(of='teacher', **scores),
            )
        ),
    )
)
