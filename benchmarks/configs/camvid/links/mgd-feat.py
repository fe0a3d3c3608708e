"""MGD on the last features: what is compared; channels as in the pair of CNNs."""

feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
generator = dict(
    type='mmkd_ext.MGDConnector', in_channels=8, channels=32, mask_ratio=0.75
)
links = dict(
    loss_mgd=dict(
        loss=dict(type='mmkd_ext.MGDLoss', loss_weight=2e-5),
        preds_S=dict(of='student', **feature, connector=generator),
        preds_T=dict(of='teacher', **feature),
    ),
)
