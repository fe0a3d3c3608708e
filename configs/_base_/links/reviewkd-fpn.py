"""Links: ReviewKD over the levels of the neck."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_reviewkd=dict(
            loss=dict(type='mmkd_ext.ReviewKDLoss', loss_weight=1.0),
            preds_S=dict(
                of='student',
                at='neck',
                connector=dict(type='mmkd_ext.ReviewKDFusion', levels=5, channels=256),
            ),
            preds_T=dict(of='teacher', at='neck'),
        )
    ),
)
