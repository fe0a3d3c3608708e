"""FitNets on the last features: what is compared, on either pair of CamVid."""

feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
links = dict(
    loss_fitnets=dict(
        loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=10.0),
        preds_S=dict(of='student', **feature),
        preds_T=dict(of='teacher', **feature),
    ),
)
