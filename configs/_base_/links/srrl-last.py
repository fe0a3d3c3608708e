"""Links: SRRL of the last map of a classifier with 512 channels."""

adapter = dict(
    type='mmkd_ext.ConvAdapter', in_channels=512, out_channels=512, norm=True, act=True
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_srrl=dict(
            loss=dict(type='mmkd_ext.SRRLLoss', logit_weight=1.0, loss_weight=1.0),
            preds_S=dict(of='student', at='backbone', item=-1, connector=adapter),
            preds_T=dict(of='teacher', at='backbone', item=-1),
            classifier=dict(of='teacher', at=dict(type='Module', source='head.fc')),
        )
    ),
)
