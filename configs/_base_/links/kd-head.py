"""Links: KD of a classifier."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=0.9),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
        )
    ),
)
