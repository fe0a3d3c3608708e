"""Links: FGD on the neck's convolutions, for detectors without anchors.

A link a level: the authors tap the convolutions, before the neck's GroupNorm. The
attention's weight is that of their configs; the paper says 8e-3.
"""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links={
        f'loss_fgd_{i}': dict(
            loss=dict(
                type='mmkd_ext.FGDLoss',
                channels=256,
                levels=1,
                weight_fg=1.6e-3,
                weight_bg=8e-4,
                weight_attention=8e-4,
                weight_global=8e-6,
                tau=0.5,
            ),
            preds_S=dict(of='student', at=f'neck.fpn_convs.{i}.conv'),
            preds_T=dict(of='teacher', at=f'neck.fpn_convs.{i}.conv'),
            data_samples=dict(of='batch', at='data_samples'),
        )
        for i in range(5)
    },
)
