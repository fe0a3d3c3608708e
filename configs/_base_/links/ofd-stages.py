"""Links: OFD of the stages before their activation; the teacher is a ResNet-56."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links={
        f'loss_ofd{i + 1}': dict(
            loss=dict(type='mmkd_ext.OFDLoss', loss_weight=1e-3 / 2 ** (2 - i)),
            preds_S=dict(
                of='student',
                at='backbone.preact',
                item=i,
                connector=dict(
                    type='mmkd_ext.OFDAdapter', in_channels=width, channels=width
                ),
            ),
            preds_T=dict(
                of='teacher',
                at='backbone.preact',
                item=i,
                connector=dict(type='mmkd_ext.OFDMargin', channels=width),
                given=dict(
                    norm=dict(
                        of='teacher',
                        at=dict(type='Module', source=f'backbone.layer{i + 1}.8.bn2'),
                    )
                ),
            ),
        )
        for i, width in enumerate((16, 32, 64))
    },
)
