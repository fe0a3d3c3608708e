"""FGD on the neck and LD on the head: GFL on BCCD.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; both as in the configs it is made of.
Command: python benchmarks/repeat.py benchmarks/experiments/bccd_gfl.py
Expected: not measured with 1,500 iterations. With 200 it had AP 39.2 +- 1.9 on val
(seeds 0 to 2, 2 CPU cores); the student alone 38.0 +- 2.9.
Status: smoke
"""

_base_ = ['./ld_gfl-r18-w24_gfl-r18-w8.py']
model = dict(
    distiller=dict(
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
        )
    )
)
