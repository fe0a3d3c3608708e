"""Links: FitNets on the second stage of the backbone."""

regressor = dict(
    type='mmkd_ext.ConvAdapter', in_channels=32, out_channels=32, norm=True, act=True
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_fitnets=dict(
            loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=100.0),
            preds_S=dict(of='student', at='backbone', item=1, connector=regressor),
            preds_T=dict(of='teacher', at='backbone', item=1),
        )
    ),
)
