"""Links: PKD on the first four levels of the neck."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_pkd=dict(
            loss=dict(type='mmkd_ext.PKDLoss', loss_weight=10.0),
            preds_S=dict(of='student', at='neck', item=[0, 1, 2, 3]),
            preds_T=dict(of='teacher', at='neck', item=[0, 1, 2, 3]),
        )
    ),
)
