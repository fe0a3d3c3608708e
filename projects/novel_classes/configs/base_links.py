"""The link of CR-KD. Not to be run itself."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_crkd=dict(
            loss=dict(type='mmkd_ext.CRKDLoss', tau=4.0, loss_weight=0.1),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
            labels=dict(of='batch', at='data_samples'),
        )
    ),
)
