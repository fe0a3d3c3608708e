"""Links: AT on the feature before the classifier."""

feature = 'decode_head.bottleneck'
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_at=dict(
            loss=dict(type='mmkd_ext.ATLoss', p=2.0, loss_weight=1e4),
            preds_S=dict(of='student', at=feature),
            preds_T=dict(of='teacher', at=feature),
        )
    ),
)
