"""Links: each exit learns the label, the deepest exit's classes, and its feature."""

label = dict(type='ModuleInputs', source='head.loss_module')
connectors, links = {}, {}
for stage, width in ((1, 16), (2, 32)):
    connectors[f'exit{stage}'] = dict(
        type='mmrazor.BYOTConnector',
        in_channel=width,
        out_channel=64,
        num_classes=10,
        expansion=1,
        pool_size=8,
        stride=2,
    )
    out = dict(of='student', at=f'backbone.layer{stage}', connector=f'exit{stage}')
    links[f'loss_label{stage}'] = dict(
        loss=dict(type='mmpretrain.CrossEntropyLoss', loss_weight=0.7),
        cls_score=dict(out, connector_item=1),
        label=dict(of='student', at=label, item=1),
    )
    links[f'loss_soft{stage}'] = dict(
        loss=dict(type='mmkd_ext.KDLoss', tau=3.0, loss_weight=0.3),
        preds_S=dict(out, connector_item=1),
        preds_T=dict(of='student', at='head'),
    )
    links[f'loss_hint{stage}'] = dict(
        loss=dict(type='mmrazor.L2Loss', normalize=False, loss_weight=0.03, dist=True),
        s_feature=dict(out, connector_item=0),
        t_feature=dict(of='student', at='neck', item=-1),
    )
distiller = dict(type='mmkd_ext.LinkDistiller', connectors=connectors, links=links)
del label, connectors, links, stage, width, out
