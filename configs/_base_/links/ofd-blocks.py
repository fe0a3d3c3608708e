"""Links: OFD at the end of ResNet-34's and ResNet-18's stages, before their ReLU."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links={
        f'loss_ofd{i}': dict(
            loss=dict(type='mmkd_ext.OFDLoss', loss_weight=1e-4 / 2 ** (4 - i)),
            preds_S=dict(
                of='student',
                at=dict(type='ModuleInputs', source=f'backbone.layer{i}.1.relu'),
                call=1,
                item=0,
                connector=dict(
                    type='mmkd_ext.OFDAdapter', in_channels=width, channels=width
                ),
            ),
            preds_T=dict(
                of='teacher',
                at=dict(type='ModuleInputs', source=f'backbone.layer{i}.{last}.relu'),
                call=1,
                item=0,
                connector=dict(type='mmkd_ext.OFDMargin', channels=width),
                given=dict(
                    norm=dict(
                        of='teacher',
                        at=dict(type='Module', source=f'backbone.layer{i}.{last}.bn2'),
                    )
                ),
            ),
        )
        for i, width, last in ((1, 64, 2), (2, 128, 3), (3, 256, 5), (4, 512, 2))
    },
)
