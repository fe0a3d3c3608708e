"""Links: MGD on the last stage of a classifier."""

generator = dict(
    type='mmkd_ext.MGDConnector',
    in_channels=512,
    channels=512,
    mask_ratio=0.15,
    mask='channel',
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_mgd=dict(
            loss=dict(type='mmkd_ext.MGDLoss', loss_weight=7e-5),
            preds_S=dict(of='student', at='backbone', item=-1, connector=generator),
            preds_T=dict(of='teacher', at='backbone', item=-1),
        )
    ),
)
