"""Links: FGD on the levels of the neck, for one-stage detectors with anchors.

The attention's weight is that of the authors' configs; the paper says 1e-3.
"""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_fgd=dict(
            loss=dict(
                type='mmkd_ext.FGDLoss',
                channels=256,
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
