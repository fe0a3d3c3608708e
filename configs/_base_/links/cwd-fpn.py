"""Links: CWD on the levels of the neck."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_cwd=dict(
            loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=10.0),
            preds_S=dict(of='student', at='neck'),
            preds_T=dict(of='teacher', at='neck'),
        )
    ),
)
