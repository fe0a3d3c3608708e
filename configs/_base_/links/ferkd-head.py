"""Links: FerKD of a classifier."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_ferkd=dict(
            loss=dict(type='mmkd_ext.FerKDLoss', low=0.05, middle=0.3, top=0.999),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
            labels=dict(of='batch', at='data_samples'),
        )
    ),
)
