"""Links: DIST of a classifier."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_dist=dict(
            loss=dict(type='mmkd_ext.DISTLoss', tau=4.0, loss_weight=2.0),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
        )
    ),
)
