"""Links: Tf-KD of a classifier from a virtual teacher, which is no network."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_tfkd=dict(
            loss=dict(type='mmkd_ext.TfKDVirtualLoss', tau=40.0, loss_weight=0.95),
            preds_S=dict(of='student', at='head'),
            labels=dict(of='batch', at='data_samples'),
        )
    ),
)
