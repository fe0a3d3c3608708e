"""FGD on the five FPN levels: GFL on BCCD.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights as published for heads with anchors; the
student starts as it would alone, so nothing is inherited.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 41.6 +- 1.0 on val (seeds 0 to 2, 2 CPU cores); the student alone 38.0 +-
2.9; benchmarks/results/bccd_gfl.json.
Status: measured
"""

_base_ = [
    '../_base_/tasks/bccd-240x320.py',
    '../_base_/pairs/mmdet/gfl-r18-w24_gfl-r18-w8.py',
]
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_fgd=dict(
                loss=dict(
                    type='mmkd_ext.FGDLoss',
                    channels=32,
                    levels=5,
                    weight_fg=1e-3,
                    weight_bg=5e-4,
                    weight_attention=5e-4,
                    weight_global=5e-6,
                    tau=0.5,
                ),
                preds_S=dict(of='student', at='neck'),
                preds_T=dict(of='teacher', at='neck'),
                data_samples=dict(of='batch', at='data_samples'),
            )
        ),
    )
)
