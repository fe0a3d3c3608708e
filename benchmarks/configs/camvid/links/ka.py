"""KA: what its two stages compare; channels as in the pair of CNNs."""

feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
code = dict(channels=32, widths=(32, 16, 16), strides=(2, 2, 2))
adapter = dict(
    type='mmkd_ext.ConvAdapter',
    in_channels=8,
    out_channels=16,
    kernel_size=3,
    norm=True,
    act=True,
)
sides = dict(
    preds_S=dict(of='student', **feature, connector=adapter),
    preds_T=dict(of='teacher', **feature, connector='encoder'),
)
losses = dict(
    loss_adapt=dict(type='mmkd_ext.KAAdaptLoss', p=1.0, q=2.0, loss_weight=50.0),
    loss_affinity=dict(type='mmkd_ext.KAAffinityLoss', loss_weight=1.0),
)
