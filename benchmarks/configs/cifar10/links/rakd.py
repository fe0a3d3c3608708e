"""Across resolution: what is compared of two classifiers."""

pooled = dict(
    preds_S=dict(of='student', at='neck', item=2),
    preds_T=dict(of='teacher', at='neck', item=2),
)
links = dict(
    loss_kd=dict(
        loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=0.9),
        preds_S=dict(of='student', at='head'),
        preds_T=dict(of='teacher', at='head'),
    ),
    loss_feature=dict(
        loss=dict(type='mmkd_ext.ATLoss', loss_weight=100.0),
        preds_S=dict(of='student', at='backbone'),
        preds_T=dict(of='teacher', at='backbone'),
    ),
    loss_distance=dict(
        loss=dict(type='mmkd_ext.RKDDistanceLoss', loss_weight=25.0), **pooled
    ),
    loss_angle=dict(
        loss=dict(type='mmkd_ext.RKDAngleLoss', loss_weight=50.0), **pooled
    ),
)
