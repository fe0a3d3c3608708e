"""Links: FitNets on the levels of the neck."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_fitnets=dict(
            loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=1.0),
            preds_S=dict(of='student', at='neck'),
            preds_T=dict(of='teacher', at='neck'),
        )
    ),
)
