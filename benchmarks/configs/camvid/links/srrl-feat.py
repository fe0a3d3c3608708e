"""SRRL on the last features: what is compared; channels as in the pair of CNNs."""

feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
adapter = dict(
    type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=32, norm=True, act=True
)
links = dict(
    loss_srrl=dict(
        loss=dict(type='mmkd_ext.SRRLLoss', logit_weight=1.0, loss_weight=1.0),
        preds_S=dict(of='student', **feature, connector=adapter),
        preds_T=dict(of='teacher', **feature),
        classifier=dict(
            of='teacher', at=dict(type='Module', source='decode_head.conv_seg')
        ),
    ),
)
