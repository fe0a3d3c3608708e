"""Links: DeFeat on the levels of the neck."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_neck=dict(
            loss=dict(type='mmkd_ext.DeFeatLoss', weight_fg=3.0, weight_bg=12.0),
            preds_S=dict(
                of='student',
                at='neck',
                connector=dict(
                    type='mmkd_ext.PerLevel',
                    levels=5,
                    connector=dict(type='mmkd_ext.DeFeatAdapter', in_channels=256),
                ),
            ),
            preds_T=dict(of='teacher', at='neck'),
            data_samples=dict(of='batch', at='data_samples'),
        )
    ),
)
