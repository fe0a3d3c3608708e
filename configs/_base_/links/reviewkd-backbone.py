"""Links: ReviewKD on the four stages of the backbone, ResNet-18 from R50 or R101."""

fusion = dict(
    type='mmkd_ext.ReviewKDFusion',
    levels=4,
    in_channels=(64, 128, 256, 512),
    mid_channels=512,
    channels=(256, 512, 1024, 2048),
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_reviewkd=dict(
            loss=dict(type='mmkd_ext.ReviewKDLoss', loss_weight=1.0),
            preds_S=dict(of='student', at='backbone', connector=fusion),
            preds_T=dict(of='teacher', at='backbone'),
            schedule=dict(type='linear', start=0.001, end=500),
        )
    ),
)
