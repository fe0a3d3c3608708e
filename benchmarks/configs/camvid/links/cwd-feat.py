"""CWD on the last features: what is compared, on either pair of CamVid."""

feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
links = dict(
    loss_cwd=dict(
        loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=50.0),
        preds_S=dict(of='student', **feature),
        preds_T=dict(of='teacher', **feature),
    ),
)
