"""Links: RKD of the pooled features of a classifier."""

pooled = dict(
    preds_S=dict(of='student', at='neck', item=-1),
    preds_T=dict(of='teacher', at='neck', item=-1),
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_rkd_distance=dict(
            loss=dict(type='mmkd_ext.RKDDistanceLoss', loss_weight=25.0), **pooled
        ),
        loss_rkd_angle=dict(
            loss=dict(type='mmkd_ext.RKDAngleLoss', loss_weight=50.0), **pooled
        ),
    ),
)
