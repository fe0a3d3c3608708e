"""Links: each exit learns the label, and the classes of the deepest one."""

label = dict(type='ModuleInputs', source='head.loss_module')
connectors, links = {}, {}
for stage, width in ((1, 16), (2, 32)):
    connectors[f'exit{stage}'] = [
        dict(
            type='mmkd_ext.ConvAdapter',
            in_channels=width,
            out_channels=64,
            kernel_size=3,
            norm=True,
            act=True,
        ),
        dict(type='mmpretrain.GlobalAveragePooling'),
        dict(type='mmkd_ext.LinearAdapter', in_channels=64, out_channels=10),
    ]
    out = dict(of='student', at=f'backbone.layer{stage}', connector=f'exit{stage}')
    links[f'loss_label{stage}'] = dict(
        loss=dict(type='mmpretrain.CrossEntropyLoss', loss_weight=0.7),
        cls_score=out,
        label=dict(of='student', at=label, item=1),
    )
    links[f'loss_soft{stage}'] = dict(
        loss=dict(type='mmkd_ext.KDLoss', tau=3.0, loss_weight=0.3),
        preds_S=out,
        preds_T=dict(of='student', at='head'),
    )
distiller = dict(type='mmkd_ext.LinkDistiller', connectors=connectors, links=links)
del label, connectors, links, stage, width, out
