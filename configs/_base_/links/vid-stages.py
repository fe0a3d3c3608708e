"""Links: VID of the stages of a classifier with 16, 32 and 64 channels."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links={
        f'loss_vid{i + 1}': dict(
            loss=dict(type='mmkd_ext.VIDLoss', channels=width, loss_weight=1.0),
            preds_S=dict(
                of='student',
                at='backbone',
                item=i,
                connector=dict(
                    type='mmkd_ext.VIDRegressor', in_channels=width, channels=width
                ),
            ),
            preds_T=dict(of='teacher', at='backbone', item=i),
        )
        for i, width in enumerate((16, 32, 64))
    },
)
