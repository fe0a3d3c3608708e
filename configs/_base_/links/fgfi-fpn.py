"""Links: FGFI on the levels of the neck, around the anchors of a one-stage head."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_fgfi=dict(
            loss=dict(type='mmkd_ext.FGFILoss', loss_weight=0.01, threshold=0.5),
            preds_S=dict(
                of='student',
                at='neck',
                connector=dict(
                    type='mmkd_ext.PerLevel',
                    levels=5,
                    connector=dict(
                        type='mmkd_ext.ConvAdapter',
                        in_channels=256,
                        out_channels=256,
                        kernel_size=3,
                        act=True,
                        init_std=1e-4,
                    ),
                ),
            ),
            preds_T=dict(of='teacher', at='neck'),
            data_samples=dict(of='batch', at='data_samples'),
            head=dict(of='student', at=dict(type='Module', source='bbox_head')),
            schedule=dict(type='constant', begin=400),
        )
    ),
)
