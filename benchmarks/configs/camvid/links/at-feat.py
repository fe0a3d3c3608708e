"""AT on the last features: what is compared, on either pair of CamVid."""

feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
links = dict(
    loss_at=dict(
        loss=dict(type='mmkd_ext.ATLoss', p=2.0, loss_weight=1e4),
        preds_S=dict(of='student', **feature),
        preds_T=dict(of='teacher', **feature),
    ),
)
