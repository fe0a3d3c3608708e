"""Links: FSP of the stages of the backbone, in the first epochs alone."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_fsp=dict(
            loss=dict(type='mmkd_ext.FSPLoss', loss_weight=50.0),
            preds_S=dict(of='student', at='backbone'),
            preds_T=dict(of='teacher', at='backbone'),
            schedule=dict(type='constant', end=30, by_epoch=True),
        )
    ),
)
