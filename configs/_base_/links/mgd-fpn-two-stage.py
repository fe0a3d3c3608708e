"""Links: MGD on P2 to P5 of the neck, for two-stage detectors."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_mgd=dict(
            loss=dict(type='mmkd_ext.MGDLoss', loss_weight=5e-7),
            preds_S=dict(
                of='student',
                at='neck',
                item=[0, 1, 2, 3],
                connector=dict(
                    type='mmkd_ext.PerLevel',
                    levels=4,
                    connector=dict(
                        type='mmkd_ext.MGDConnector', channels=256, mask_ratio=0.45
                    ),
                ),
            ),
            preds_T=dict(of='teacher', at='neck', item=[0, 1, 2, 3]),
        )
    ),
)
