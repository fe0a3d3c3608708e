"""Links: MGD on the levels of the neck, for one-stage detectors."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_mgd=dict(
            loss=dict(type='mmkd_ext.MGDLoss', loss_weight=2e-5),
            preds_S=dict(
                of='student',
                at='neck',
                connector=dict(
                    type='mmkd_ext.PerLevel',
                    levels=5,
                    connector=dict(
                        type='mmkd_ext.MGDConnector', channels=256, mask_ratio=0.65
                    ),
                ),
            ),
            preds_T=dict(of='teacher', at='neck'),
        )
    ),
)
