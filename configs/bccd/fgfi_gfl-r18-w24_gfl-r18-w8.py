"""FGFI on the five FPN levels: GFL on BCCD.

Paper: Distilling Object Detectors with Fine-grained Feature Imitation, CVPR 2019,
https://arxiv.org/abs/1906.03609; weight 0.01 and threshold 0.5 (from memory).
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: AP 38.8 +- 2.4 on val (seeds 0 to 2, 2 CPU cores); the student alone 38.0 +-
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
            loss_fgfi=dict(
                loss=dict(type='mmkd_ext.FGFILoss', threshold=0.5, loss_weight=0.01),
                preds_S=dict(
                    of='student',
                    at='neck',
                    connector=dict(
                        type='mmkd_ext.PerLevel',
                        levels=5,
                        connector=dict(
                            type='mmkd_ext.ConvAdapter',
                            in_channels=32,
                            out_channels=32,
                            kernel_size=3,
                            act=True,
                        ),
                    ),
                ),
                preds_T=dict(of='teacher', at='neck'),
                data_samples=dict(of='batch', at='data_samples'),
                head=dict(of='student', at=dict(type='Module', source='bbox_head')),
            )
        ),
    )
)
