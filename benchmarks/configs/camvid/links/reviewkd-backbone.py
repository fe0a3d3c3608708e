"""ReviewKD on the four stages: what is compared; channels as in the pair of CNNs."""

fusion = dict(
    type='mmkd_ext.ReviewKDFusion',
    levels=4,
    in_channels=(8, 16, 32, 64),
    mid_channels=64,
    channels=(32, 64, 128, 256),
)
links = dict(
    loss_reviewkd=dict(
        loss=dict(type='mmkd_ext.ReviewKDLoss', loss_weight=1.0),
        preds_S=dict(of='student', at='backbone', connector=fusion),
        preds_T=dict(of='teacher', at='backbone'),
        schedule=dict(type='linear', start=0.001, end=50),
    ),
)
