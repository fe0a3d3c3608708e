"""Links: FGD on P2 to P5 of the neck, for two-stage detectors."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_fgd=dict(
            loss=dict(
                type='mmkd_ext.FGDLoss',
                channels=256,
                levels=4,
                weight_fg=5e-5,
                weight_bg=2.5e-5,
                weight_attention=5e-5,
                weight_global=5e-7,
                tau=0.5,
            ),
            preds_S=dict(of='student', at='neck', item=[0, 1, 2, 3]),
            preds_T=dict(of='teacher', at='neck', item=[0, 1, 2, 3]),
            data_samples=dict(of='batch', at='data_samples'),
        )
    ),
)
