"""Links: WSLD of a classifier."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_wsld=dict(
            loss=dict(type='mmkd_ext.WSLDLoss', tau=2.0, loss_weight=2.5),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
            labels=dict(of='batch', at='data_samples'),
        )
    ),
)
