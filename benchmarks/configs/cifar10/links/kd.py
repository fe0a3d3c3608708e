"""KD of weight 1, beside another link of a classifier; a leaf takes it out again."""

kd = dict(
    loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=1.0),
    preds_S=dict(of='student', at='head'),
    preds_T=dict(of='teacher', at='head'),
)
