"""Links: Tf-KD of a classifier from the same network, trained before."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_tfkd=dict(
            loss=dict(type='mmkd_ext.TfKDSelfLoss', tau=20.0, loss_weight=0.95),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
        )
    ),
)
