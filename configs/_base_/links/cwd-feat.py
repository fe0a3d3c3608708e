"""Links: CWD on the feature before the classifier."""

feature = 'decode_head.bottleneck'
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_cwd=dict(
            loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=50.0),
            preds_S=dict(of='student', at=feature),
            preds_T=dict(of='teacher', at=feature),
        )
    ),
)
