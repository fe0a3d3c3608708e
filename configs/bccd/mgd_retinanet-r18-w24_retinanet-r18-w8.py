"""MGD on the five FPN levels: RetinaNet on BCCD.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529; mask
ratio 0.65 and weight 2e-5 as published; the student starts as it would alone, so
nothing is inherited.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_retinanet.py
Expected: AP 41.0 +- 1.5 on val (seeds 0 to 2, 2 CPU cores); the student alone 35.8 +-
2.0; benchmarks/results/bccd_retinanet.json.
Status: measured
"""

_base_ = [
    '../_base_/tasks/bccd-240x320.py',
    '../_base_/pairs/mmdet/retinanet-r18-w24_retinanet-r18-w8.py',
]
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_mgd=dict(
                loss=dict(type='mmkd_ext.MGDLoss', loss_weight=2e-5),
                preds_S=dict(
                    of='student',
                    at='neck',
                    connector=dict(
                        type='mmkd_ext.PerLevel',
                        levels=5,
                        connector=dict(
                            type='mmkd_ext.MGDConnector', channels=32, mask_ratio=0.65
                        ),
                    ),
                ),
                preds_T=dict(of='teacher', at='neck'),
            )
        ),
    )
)
