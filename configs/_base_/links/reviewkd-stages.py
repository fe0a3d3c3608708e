"""Links: ReviewKD on the stages of a classifier, before their activation."""

fusion = dict(
    type='mmkd_ext.ReviewKDFusion',
    levels=3,
    in_channels=(16, 32, 64),
    mid_channels=64,
    channels=(16, 32, 64),
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_reviewkd=dict(
            loss=dict(type='mmkd_ext.ReviewKDLoss', loss_weight=1.0),
            preds_S=dict(of='student', at='backbone.preact', connector=fusion),
            preds_T=dict(of='teacher', at='backbone.preact'),
            schedule=dict(type='linear', end=20, by_epoch=True),
        )
    ),
)
