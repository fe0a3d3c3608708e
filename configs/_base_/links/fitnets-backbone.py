"""Links: FitNets on the last stage of the backbone."""

last_stage = dict(at='backbone', item=3)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_fitnets=dict(
            loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=10.0),
            preds_S=dict(of='student', **last_stage),
            preds_T=dict(of='teacher', **last_stage),
        )
    ),
)
