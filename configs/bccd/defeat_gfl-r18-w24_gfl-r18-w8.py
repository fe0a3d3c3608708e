"""DeFeat on the five FPN levels: GFL on BCCD.

Paper: Distilling Object Detectors via Decoupled Features, CVPR 2021,
https://arxiv.org/abs/2103.14475; weights 3 and 12, those of Pascal VOC.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 41.1 +- 1.7 on val (seeds 0 to 2, 2 CPU cores); the student alone 38.0 +-
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
            loss_defeat=dict(
                loss=dict(type='mmkd_ext.DeFeatLoss', weight_fg=3.0, weight_bg=12.0),
                preds_S=dict(
                    of='student',
                    at='neck',
                    connector=dict(
                        type='mmkd_ext.PerLevel',
                        levels=5,
                        connector=dict(type='mmkd_ext.DeFeatAdapter', in_channels=32),
                    ),
                ),
                preds_T=dict(of='teacher', at='neck'),
                data_samples=dict(of='batch', at='data_samples'),
            )
        ),
    )
)
