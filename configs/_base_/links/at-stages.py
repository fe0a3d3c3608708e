"""Links: AT on the stages of the backbone."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_at=dict(
            loss=dict(type='mmkd_ext.ATLoss', p=2.0, loss_weight=1000.0),
            preds_S=dict(of='student', at='backbone'),
            preds_T=dict(of='teacher', at='backbone'),
        )
    ),
)
